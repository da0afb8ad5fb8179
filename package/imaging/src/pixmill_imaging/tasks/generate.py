"""From things to pictures of them."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.plumbing.chunks import run_chunk
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.GENERATE_CHUNK.value)
def generate_chunk(chunk_id: str) -> None:
    """Make a picture of each item of a chunk that has none yet; with the last chunk the job is done."""
    from pixmill_imaging.service.generate import generate
    from pixmill_imaging.wiring import studio

    run_chunk(runtime(), chunk_id, lambda chunk, check: generate(chunk, studio(), check))
