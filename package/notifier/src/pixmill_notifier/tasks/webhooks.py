"""Webhooks: one task is one try."""

import uuid

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName


@app.task(name=TaskName.DELIVER_WEBHOOK.value)
def deliver_webhook(delivery_id: str) -> None:
    """Post an event to its receiver; a failed try is repeated by the schedule, from the row."""
    from pixmill_notifier.service.deliver import deliver
    from pixmill_notifier.wiring import courier

    deliver(uuid.UUID(delivery_id), courier())
