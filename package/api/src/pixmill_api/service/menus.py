"""Pictures of a menu: the job as the short form answers it, category by category."""

import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import NotFound
from pixmill_api.service.generation_counts import left, pace_of, success_rate
from pixmill_api.service.job_documents import found_job, shown_job
from pixmill_shared.database.models import Generation, GenerationItem, Job
from pixmill_shared.domain.generation import Form
from pixmill_shared.domain.jobs import TERMINAL, JobStatus
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import generations

API: Final = "/api/v1"


def accepted_menu(context: Context, session: Session, caller: Caller, job_id: uuid.UUID) -> dict[str, Any]:
    """What who sent the menu is told."""
    job = found_job(session, caller, job_id)
    document = shown_job(context, session, job)
    counts = document["generation"]
    return {
        "success": True,
        "job_id": document["job_id"],
        "status": document["status"],
        "session_id": _session_of(job),
        "total_items": counts["total_items"],
        "total_chunks": counts["total_chunks"],
        "estimated_time_seconds": counts["estimated_seconds_left"],
        "status_endpoint": f"{API}/image/status/{job_id}",
        "urls": document["urls"],
    }


def find_status(context: Context, caller: Caller, job_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for jobs of other sorts and projects too."""
    with context.runtime.database.session_scope() as session:
        job = found_job(session, caller, job_id)
        generation = generations.find(session, job_id)
        if generation is None or generation.form != Form.MENU:
            raise NotFound("There is no menu of that job.")
        ended = job.status in TERMINAL
        seconds = None if ended else generations.typical_seconds(session)
        rest = 0 if ended else left(generation, pace_of(context), seconds)
        items = generations.items_of(session, job_id) if ended else []
        return _document(job, generation, list(items), rest)


def _document(job: Job, generation: Generation, items: list[GenerationItem], rest: int) -> dict[str, Any]:
    ended = job.status in TERMINAL
    return {
        "job_id": str(job.id),
        "status": job.status,
        "progress_percent": job.progress,
        "session_id": _session_of(job),
        "processing_info": {
            "total_chunks": generation.total_chunks,
            "completed_chunks": generation.finished_chunks,
            "total_items": generation.total_items,
            "completed_items": generation.finished_items,
            "estimated_time_seconds": rest,
            "created_at": utc(job.created_at),
            "started_at": utc(job.started_at),
            "finished_at": utc(job.finished_at),
        },
        "total_items": generation.total_items,
        "images_generated": _pictured(job, generation, items) if ended else None,
        "total_images": sum(1 for item in items if item.outputs) if ended else None,
        "success_rate": success_rate(generation) if ended else None,
        "error": job.error if job.status == JobStatus.FAILED else None,
    }


def _pictured(job: Job, generation: Generation, items: list[GenerationItem]) -> dict[str, list[dict[str, Any]]]:
    """In the order of the menu; categories without dishes too."""
    found: dict[str, list[dict[str, Any]]] = {category: [] for category in generation.categories}
    for item in items:
        found[item.category].append(
            {
                **item.details,
                "image_url": f"{API}/jobs/{job.id}/outputs/{item.outputs[0]}" if item.outputs else None,
                "generation_success": item.success,
                "provider": item.provider,
                "error": item.error,
            }
        )
    return found


def _session_of(job: Job) -> str | None:
    found = job.job_metadata.get("session_id")
    return found if isinstance(found, str) else None
