"""How far a job is that generates pictures: counts of its row, and the seconds that are left."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from pixmill_api.auth import Context
from pixmill_shared.database.models import Generation, Job
from pixmill_shared.domain.generation import seconds_left
from pixmill_shared.domain.jobs import TERMINAL
from pixmill_shared.repositories import generations

_MICRO: Final = 1_000_000


def typical(session: Session, jobs: Iterable[Job], found: dict[Any, Generation]) -> float | None:
    """Seconds for a picture, asked for only if one of the jobs is under way."""
    under_way = any(job.id in found and job.status not in TERMINAL for job in jobs)
    return generations.typical_seconds(session) if under_way else None


class Pace(NamedTuple):
    """``at_once``: chunks that one job can have: no more than its share, nor than all of them may have together.
    ``pause``: seconds from one request to the provider to the next.
    """

    at_once: int
    pause: float


def pace_of(context: Context) -> Pace:
    """As the settings have it."""
    return Pace(min(context.chunks.at_once, context.runtime.work.image_workers), context.pace.pause)


def left(generation: Generation, pace: Pace, seconds: float | None) -> int:
    """Seconds until the rest is done; ``seconds``: that a picture takes."""
    items = generation.total_items - generation.finished_items
    chunks = max(generation.total_chunks - generation.finished_chunks, 1)
    return seconds_left(items, chunks, pace.at_once, seconds, pace.pause)


def success_rate(generation: Generation) -> float:
    """Of all items, those with a picture that a model made."""
    return round(generation.real_items / generation.total_items, 4)


def generation_document(job: Job, generation: Generation, pace: Pace, seconds: float | None) -> dict[str, Any]:
    """``seconds``: that a picture takes, None: nobody knows."""
    return {
        "total_items": generation.total_items,
        "completed_items": generation.finished_items,
        "total_chunks": generation.total_chunks,
        "completed_chunks": generation.finished_chunks,
        "fallback": generation.fallback,
        "cache": generation.cache,
        "success_rate": success_rate(generation),
        "cost_usd": generation.cost / _MICRO,
        "estimated_seconds_left": None if job.status in TERMINAL else left(generation, pace, seconds),
    }
