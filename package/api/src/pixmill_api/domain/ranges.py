"""Range requests (RFC 9110, section 14), one range at a time: more than one gets the whole, as the RFC allows."""

import re
from typing import Final, NamedTuple

_ONE_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Range(NamedTuple):
    """``start`` to ``end`` (exclusive), in bytes."""

    start: int
    end: int


class Unsatisfiable(ValueError):
    """The range begins after the end."""


def parse_range(header: str | None, size: int) -> Range | None:
    """None: send the whole (no range, or one that is to be ignored). Raises Unsatisfiable."""
    match = _ONE_RANGE.fullmatch((header or "").strip())
    if not match or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = int(match[2])
        if length == 0 or size == 0:
            raise Unsatisfiable
        return Range(max(0, size - length), size)
    start, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Range(start, min(last + 1, size))


def matches_etag(header: str | None, etag: str) -> bool:
    """Does ``If-None-Match`` name ``etag``? Compared weakly, as it must be there."""
    given = [part.strip().removeprefix("W/") for part in (header or "").split(",")]
    return "*" in given or etag in given
