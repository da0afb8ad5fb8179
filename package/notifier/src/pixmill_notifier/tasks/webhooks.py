"""Webhooks: one task is one try."""

import uuid

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.DELIVER_WEBHOOK.value)
def deliver_webhook(delivery_id: str) -> None:
    """Post an event to its receiver; a failed try is repeated by the schedule, from the row."""
    from pixmill_notifier.service.deliver import deliver
    from pixmill_notifier.wiring import courier

    deliver(uuid.UUID(delivery_id), courier())


@app.task(name=TaskName.DELIVER_PENDING.value)
def deliver_pending() -> dict[str, int]:
    """Publish the webhooks and messages that are due: they go on, slower, while no dispatcher runs."""
    from pixmill_shared.dispatcher.once import pass_once
    from pixmill_shared.repositories import alert_messages, deliveries

    return pass_once(runtime(), app, deliveries.WORK, alert_messages.WORK)
