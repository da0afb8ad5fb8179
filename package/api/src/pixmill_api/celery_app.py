"""The one Celery app, for a worker of the queue ``api``: ``celery -A pixmill_api.celery_app worker``."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import QueueName

__all__ = ["QUEUES", "app"]

QUEUES: tuple[QueueName, ...] = (QueueName.API,)
"""What a worker of this package consumes when ``-Q`` does not say otherwise."""
