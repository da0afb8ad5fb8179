"""What alerts and reports are made with."""

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from pixmill_notifier.domain.alerts import Policy
from pixmill_notifier.domain.rules import Thresholds
from pixmill_shared.database.engine import Database


@dataclass(frozen=True)
class Desk:
    """``channels`` are their names; ``directory`` is the storage's, empty for a bucket; ``clock`` is the database's."""

    database: Database
    channels: tuple[str, ...]
    thresholds: Thresholds
    policy: Policy
    failure_window: datetime.timedelta
    directory: str
    zone: ZoneInfo
    clock: Callable[[Session], datetime.datetime]

    def disk_percent(self) -> float | None:
        """How full the disk of the storage is; None for a bucket, and for a directory that this process cannot see."""
        if not self.directory:
            return None
        try:
            usage = shutil.disk_usage(self.directory)
        except OSError:
            return None
        # As df counts it: what is kept for root is neither used nor free.
        return 100 * usage.used / ((usage.used + usage.free) or 1)
