"""Times as clients write them: RFC 3339 with an offset, and nothing else."""

import datetime
import re
from typing import Final

_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
MEANT: Final = "must be a time with an offset (RFC 3339), like 2030-01-31T08:00:00Z"


def parse_moment(text: str) -> datetime.datetime | None:
    """In UTC; None if it is none: a bare number, or a local time, means something else to everybody.

    The first and the last moment that there are stand for those before and after, which offsets can lead to.
    """
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        end = datetime.datetime.min if moment.year == datetime.MINYEAR else datetime.datetime.max
        return end.replace(tzinfo=datetime.UTC)
