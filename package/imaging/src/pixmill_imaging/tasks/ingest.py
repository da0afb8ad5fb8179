"""From a place that is watched to jobs."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName


@app.task(name=TaskName.CHECK_PIPELINES.value)
def check_pipelines() -> dict[str, int]:
    """Look at the sources of all pipelines that are due, and make jobs of what is new."""
    from pixmill_imaging.service import ingest
    from pixmill_imaging.wiring import new_ingest

    return ingest.check_pipelines(new_ingest())
