"""From a URL, or a key in the user's own storage, to stored bytes."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.progress.reports import StageReport
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.egress import EgressSettings


@app.task(name=TaskName.FETCH_SOURCE.value)
def fetch_source(job_id: str) -> None:
    """Download the source of a job and queue it for rendering."""
    from pixmill_imaging.service.fetch import fetch

    settings, clients = EgressSettings.load(), runtime()
    run_stage(
        *(clients, job_id, Stage.FETCH, TaskName.FETCH_SOURCE),
        lambda job, check: fetch(
            *(job, clients.database, clients.store, clients.egress, settings, clients.sources),
            check=check,
            report=StageReport(clients.progress, job, Stage.FETCH),
        ),
    )
