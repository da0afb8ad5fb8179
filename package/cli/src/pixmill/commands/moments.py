"""Times as people type them: a moment, or how long ago."""

import datetime
import re
from typing import Final

from pixmill.errors import InvalidOptionError

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_moment(option: str, text: str | None, now: datetime.datetime) -> datetime.datetime | None:
    """``30m``, ``2h``, ``7d`` ago, or ISO 8601, in UTC where it names no zone. Raises InvalidOptionError."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise InvalidOptionError(option, "takes a time like 2h, 7d or 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
