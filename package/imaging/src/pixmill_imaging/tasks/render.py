"""From stored bytes to outputs."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.progress.reports import StageReport
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.RENDER_JOB.value)
def render_job(job_id: str) -> None:
    """Decode the source of a job once, make and store its outputs, finish the job."""
    from pixmill_imaging.service.finish import render_and_finish
    from pixmill_imaging.wiring import engine

    clients = runtime()
    run_stage(
        *(clients, job_id, Stage.RENDER, TaskName.RENDER_JOB),
        lambda job, check: render_and_finish(
            *(job, clients.database, clients.store, engine(), clients.destinations),
            check=check,
            report=StageReport(clients.progress, job, Stage.RENDER),
        ),
    )


@app.task(name=TaskName.PROCESS_PENDING.value)
def process_pending() -> dict[str, int]:
    """Publish what is due: fetching, rendering and generating go on, slower, while no dispatcher runs."""
    from pixmill_shared.dispatcher.once import pass_once
    from pixmill_shared.repositories import chunks, jobs

    return pass_once(runtime(), app, jobs.WORK, chunks.WORK)
