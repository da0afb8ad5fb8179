"""Archives that are built once."""

import uuid
from typing import Any, Final

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime

#: Seconds: a large batch is a few hundred gigabytes, and a bucket may be slow.
LONGEST: Final = 3_300
KILLED_AFTER: Final = 3_600


@app.task(name=TaskName.BUILD_ZIP.value, soft_time_limit=LONGEST, time_limit=KILLED_AFTER)
def build_zip(batch_id: str | None = None, job_id: str | None = None, state: str | None = None) -> dict[str, Any]:
    """Of the batch's, or of the job's, completed outputs; ``state`` tells requests apart, not archives."""
    from pixmill_api.service.building import build

    return build(
        runtime(),
        uuid.UUID(build_zip.request.id),
        batch_id=uuid.UUID(batch_id) if batch_id else None,
        job_id=uuid.UUID(job_id) if job_id else None,
    )
