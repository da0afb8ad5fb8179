"""Is the chain of beat, broker and worker alive?"""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.repositories import service_health
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.RECORD_HEARTBEAT.value)
def record_heartbeat() -> None:
    """Beat's tick came through: its row is fresh."""
    with runtime().database.session_scope() as session:
        service_health.seen(session, "beat")
