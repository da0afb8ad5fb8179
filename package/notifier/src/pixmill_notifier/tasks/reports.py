"""Reports: the digest of the day before."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName


@app.task(name=TaskName.SEND_REPORT.value)
def send_daily() -> None:
    """Does nothing if the day's report was sent."""
    from pixmill_notifier.service.report import send_due
    from pixmill_notifier.wiring import desk

    send_due(desk())
