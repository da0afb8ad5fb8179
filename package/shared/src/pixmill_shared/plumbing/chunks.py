"""One chunk of a job that generates, in a worker: claim, run the body, record how it ended."""

import time
import uuid
from collections.abc import Callable

import structlog

from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.stages import failure_of
from pixmill_shared.repositories import chunks
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.claims import Check, ClaimCheck
from pixmill_shared.service.failures import record_chunk_failure

log = get_logger(__name__)

Body = Callable[[chunks.ClaimedChunk, Check], None]


def run_chunk(runtime: Runtime, chunk_id: str, body: Body) -> None:
    """As ``run_stage``; a chunk whose job ended meanwhile ends too."""
    with runtime.database.session_scope() as session:
        chunk = chunks.claim(session, uuid.UUID(chunk_id), runtime.worker_name, runtime.work.lease)
    if chunk is None:
        return
    failpoint("chunk.claimed", chunk.id)
    structlog.contextvars.bind_contextvars(
        job_id=str(chunk.job_id), attempt=chunk.attempts, request_id=chunk.request_id
    )

    def work() -> None:
        started = time.monotonic()
        body(
            chunk, ClaimCheck(f"chunk {chunk.id}", runtime.database, lambda session: chunks.is_claimed(session, chunk))
        )
        log.info("chunk done", ms=round((time.monotonic() - started) * 1000))

    failure = failure_of(work)
    with runtime.database.session_scope() as session:
        if failure is None:
            # Whose claim was lost because its job has ended; any other is as it should be.
            chunks.drop(session, chunk.id)
            return
        outcome = record_chunk_failure(session, chunk, failure, settings=runtime.work)
    log.warning("chunk failed", code=failure.code, detail=failure.detail, outcome=outcome)
