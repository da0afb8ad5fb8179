"""Queues, by the workers that consume them. Exchange and routing key are named as the queue."""

from enum import StrEnum
from typing import Final


class QueueName(StrEnum):
    DEFAULT = "default"
    DEFAULT_HIGH = "default.high"
    MAINTENANCE = "maintenance"
    API = "api"
    FETCH = "fetch"
    IMAGING_HIGH = "imaging.high"
    IMAGING = "imaging"
    IMAGING_LOW = "imaging.low"
    GENERATE = "generate"
    NOTIFIER = "notifier"
    NOTIFIER_RETRY = "notifier.retry"
    NOTIFIER_ALERTS = "notifier.alerts"


class Priority(StrEnum):
    """Priority is the queue: per-message priorities on Redis do not hold up."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """The order in which the dispatcher takes rows: 0 first."""
        return list(Priority).index(self)

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        """The reverse, for what a row holds."""
        return list(cls)[rank]


RENDER_QUEUES: Final[dict[Priority, QueueName]] = {
    Priority.HIGH: QueueName.IMAGING_HIGH,
    Priority.NORMAL: QueueName.IMAGING,
    Priority.LOW: QueueName.IMAGING_LOW,
}

#: Which worker process consumes which queues; docker-compose.yml and the local stack are checked against it.
WORKER_QUEUES: Final[dict[str, tuple[QueueName, ...]]] = {
    "imaging": (QueueName.IMAGING_HIGH, QueueName.IMAGING, QueueName.IMAGING_LOW),
    "imaging-io": (QueueName.FETCH, QueueName.GENERATE),
    "notifier": (QueueName.NOTIFIER, QueueName.NOTIFIER_RETRY, QueueName.NOTIFIER_ALERTS),
    "worker": (QueueName.DEFAULT, QueueName.DEFAULT_HIGH, QueueName.MAINTENANCE, QueueName.API),
}
