"""Times as everybody who is told of them gets them."""

import datetime
from typing import overload


@overload
def utc(moment: datetime.datetime) -> str: ...
@overload
def utc(moment: datetime.datetime | None) -> str | None: ...
def utc(moment: datetime.datetime | None) -> str | None:
    """RFC 3339, in UTC: ``2030-01-31T08:00:00Z``."""
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z") if moment else None
