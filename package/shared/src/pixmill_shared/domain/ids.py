"""Identifiers. UUIDv7 sorts by time, so keys are appended to indexes and lists page by id."""

import datetime
import secrets
import time
import uuid
from typing import Final

_LAST: Final = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC).timestamp()


SMALLEST_ID: Final = uuid.UUID(int=0)
"""Comes before all: where lists that are walked by their ids begin."""

LARGEST_ID: Final = uuid.UUID(int=(1 << 128) - 1)
"""Comes after all."""


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562, section 6.2, method 3): 48 bits of milliseconds, 12 of their fraction, 62 random bits.

    So those that a process makes a microsecond apart sort as they were made. The standard library has one from 3.14 on.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | secrets.randbits(62))


def least_id(moment: datetime.datetime) -> uuid.UUID:
    """No id that was minted at ``moment`` or later is smaller: rows of a span of time are found by their key.

    Ids have no time before 1970: of such a moment it is that of the first one.
    """
    milliseconds = max(int(moment.timestamp() * 1000), 0)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def moment_of(id: uuid.UUID) -> datetime.datetime:
    """When it was minted, by the clock of whoever did; of an id of another make, a time long past."""
    milliseconds = id.int >> 80
    return datetime.datetime.fromtimestamp(min(milliseconds / 1000, _LAST), datetime.UTC)
