"""Is all well, and how much waits?"""

from typing import Any

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.repositories import service_health
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.RECORD_HEARTBEAT.value)
def record_heartbeat() -> None:
    """Beat's tick came through: its row is fresh."""
    with runtime().database.session_scope() as session:
        service_health.seen(session, service_health.HEARTBEAT)


@app.task(name=TaskName.SAMPLE_QUEUES.value)
def sample_queues() -> dict[str, Any]:
    """How much waits in each queue, for alerts and the dashboard. The cleanup deletes old samples."""
    from pixmill_shared.service import sampling

    return sampling.sample_queues(runtime().database)


@app.task(name=TaskName.CHECK_SERVICES.value)
def health_check_all_services() -> dict[str, Any]:
    """Ask every service, the database, the broker and the storage, and write down how they are."""
    from pixmill_shared.egress.probe import ProbeClient
    from pixmill_shared.plumbing.processes import check_broker
    from pixmill_shared.service.checking import TIMEOUT, check_services
    from pixmill_shared.settings.probing import ProbeSettings

    clients = runtime()
    dependencies = {
        "database": clients.database.ping,
        "broker": lambda: check_broker(app),
        # Whether this object is there does not matter: that the storage answers does.
        "storage": lambda: clients.store.exists("health"),
    }
    return check_services(clients.database, ProbeClient(ProbeSettings.load().urls, TIMEOUT), dependencies)
