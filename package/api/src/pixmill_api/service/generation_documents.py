"""Jobs that generate pictures, as clients see what is of them alone: counts, items."""

import uuid
from typing import Any, Final

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.ids import cursor_of
from pixmill_api.errors import NotFound
from pixmill_api.service.job_documents import described_outputs, found_job
from pixmill_shared.database.models import GenerationItem
from pixmill_shared.repositories import generations

_LAST_POSITION: Final = 2**31 - 1


def list_items(
    context: Context, caller: Caller, job_id: uuid.UUID, *, limit: int, after: uuid.UUID | None
) -> dict[str, Any]:
    """One page, in the order of the request. ``after`` is a cursor: the position as a number of 128 bits.

    Raises NotFound, also for a job that has none.
    """
    last = min(after.int, _LAST_POSITION) if after is not None else -1
    with context.runtime.database.session_scope() as session:
        job = found_job(session, caller, job_id)
        if generations.find(session, job.id) is None:
            raise NotFound("The job generates no pictures, and has no items.")
        rows = generations.items_of(session, job.id, after=last, limit=limit + 1)
        shown, more = rows[:limit], len(rows) > limit
        names = [name for item in shown for name in item.outputs]
        outputs = described_outputs(context, session, {job.id: names}).get(job.id, {})
        data = [_item(item, outputs) for item in shown]
    cursor = cursor_of(uuid.UUID(int=shown[-1].position)) if more else None
    return {"data": data, "next_cursor": cursor, "has_more": more}


def _item(item: GenerationItem, outputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "position": item.position,
        "category": item.category,
        "name": item.name,
        "prompt": item.prompt,
        "status": "pending" if item.finished_at is None else "finished",
        "generation_success": item.success,
        "provider": item.provider,
        "error": item.error,
        "outputs": [outputs[name] for name in item.outputs if name in outputs],
        "cached": item.cached,
        "duration_ms": item.duration_ms,
    }
