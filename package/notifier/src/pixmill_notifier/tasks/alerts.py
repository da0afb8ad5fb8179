"""Alerts: what is wrong is found out every minute, and told to every channel by a task of its own."""

import uuid

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName


@app.task(name=TaskName.EVALUATE_ALERTS.value)
def evaluate() -> None:
    """Start, remind of and end alerts."""
    from pixmill_notifier.service.evaluate import tick
    from pixmill_notifier.wiring import desk

    tick(desk())


@app.task(name=TaskName.SEND_MESSAGE.value)
def send_message(message_id: str) -> None:
    """One try of one message for one channel; a failed one is repeated by the schedule, from the row."""
    from pixmill_notifier.service.messenger import send
    from pixmill_notifier.wiring import messenger

    send(uuid.UUID(message_id), messenger())
