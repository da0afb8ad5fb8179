"""The one schedule. Every entry is "process all that is due", safe to run twice, and expires below its interval."""

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Final

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName


@dataclass(frozen=True)
class Entry:
    """``does`` is for people. ``every`` is the interval; a tick that waited for longer than ``expires`` is dropped: the
    next one does its work.

    ``at``: once a day, at that hour and minute in the app's timezone (CELERY_TIMEZONE); ``every`` is a day then.
    """

    name: str
    does: str
    task: TaskName
    every: timedelta
    expires: timedelta
    queue: QueueName = QueueName.DEFAULT
    at: time | None = None


SCHEDULE: Final = (
    Entry(
        "heartbeat",
        "shows that beat, broker, worker and database work together",
        TaskName.RECORD_HEARTBEAT,
        every=timedelta(seconds=10),
        expires=timedelta(seconds=8),
    ),
    Entry(
        "sample-queues",
        "writes down how much waits in each queue, and since when",
        TaskName.SAMPLE_QUEUES,
        every=timedelta(seconds=30),
        expires=timedelta(seconds=25),
    ),
    Entry(
        "recover-stalled-work",
        "does what a dispatcher does, once: finds lost messages and silent workers, publishes what is due",
        TaskName.RECOVER_STALLED,
        every=timedelta(minutes=1),
        expires=timedelta(seconds=50),
    ),
    Entry(
        "process-pending-images",
        "does the same for jobs, where the general worker is away",
        TaskName.PROCESS_PENDING,
        every=timedelta(minutes=15),
        expires=timedelta(minutes=12),
        queue=QueueName.IMAGING,
    ),
    Entry(
        "deliver-pending-notifications",
        "does the same for webhooks and messages, where the general worker is away",
        TaskName.DELIVER_PENDING,
        every=timedelta(minutes=10),
        expires=timedelta(minutes=8),
        queue=QueueName.NOTIFIER,
    ),
    Entry(
        "health-check-all-services",
        "asks every service of PIXMILL_SERVICES, database, broker and storage how they are",
        TaskName.CHECK_SERVICES,
        every=timedelta(minutes=5),
        expires=timedelta(minutes=4),
        queue=QueueName.DEFAULT_HIGH,
    ),
    Entry(
        "check-pipelines",
        "looks at the sources of pipelines whose time has come, and makes jobs of what is new",
        TaskName.CHECK_PIPELINES,
        every=timedelta(minutes=1),
        expires=timedelta(seconds=50),
        queue=QueueName.FETCH,
    ),
    Entry(
        "expire-uploads",
        "deletes uploads that no job used, unfinished ones, and archives whose time is over",
        TaskName.EXPIRE_UPLOADS,
        every=timedelta(hours=1),
        expires=timedelta(minutes=50),
        queue=QueueName.API,
    ),
    Entry(
        "expire-keys",
        "revokes API keys whose time is over",
        TaskName.EXPIRE_KEYS,
        every=timedelta(hours=1),
        expires=timedelta(minutes=50),
        queue=QueueName.API,
    ),
    Entry(
        "backup-database",
        "backs up the database into the storage",
        TaskName.BACK_UP,
        at=time(2),
        every=timedelta(days=1),
        expires=timedelta(hours=6),
        queue=QueueName.MAINTENANCE,
    ),
    Entry(
        "cleanup-old-data",
        "deletes what nobody needs any more",
        TaskName.CLEAN_UP,
        at=time(3),
        every=timedelta(days=1),
        expires=timedelta(hours=6),
        queue=QueueName.MAINTENANCE,
    ),
    Entry(
        "verify-storage",
        "looks whether rows and objects agree, and reports what differs",
        TaskName.VERIFY_STORAGE,
        every=timedelta(days=7),
        expires=timedelta(hours=6),
        queue=QueueName.MAINTENANCE,
    ),
    Entry(
        "evaluate-alerts",
        "measures the rules of alerts, starts and ends them",
        TaskName.EVALUATE_ALERTS,
        every=timedelta(minutes=1),
        expires=timedelta(seconds=50),
        queue=QueueName.NOTIFIER_ALERTS,
    ),
    Entry(
        "daily-report",
        "sends the digest of the day before",
        TaskName.SEND_REPORT,
        at=time(7),
        every=timedelta(days=1),
        expires=timedelta(hours=6),
        queue=QueueName.NOTIFIER_ALERTS,
    ),
)
