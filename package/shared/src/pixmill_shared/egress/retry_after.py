"""The Retry-After header (RFC 9110, 10.2.3): seconds, or a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Who says more than a day has a mistake in a header or no wish to be asked again.
LONGEST_SECONDS = 86_400.0


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from ``now`` (aware): 0 for a past moment, at most a day; None when it cannot be read."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a zone that no integer of C holds is an OverflowError
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_SECONDS)
