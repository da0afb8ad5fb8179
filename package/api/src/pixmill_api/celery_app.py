"""The one app, for ``celery -A pixmill_api.celery_app worker``."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.plumbing.processes import consume_by_default

__all__ = ["app"]

consume_by_default(QueueName.API)
