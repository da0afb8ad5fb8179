"""Ends jobs of a batch in all ways; as a process of its own it goes on until it is killed."""

import random
import sys
import uuid
from collections.abc import Sequence

from sqlalchemy import text
from tests.integration.shared.test_repositories import made

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import batches, jobs


def end_some(
    database: Database, batch_id: uuid.UUID, ids: Sequence[uuid.UUID], rng: random.Random, *, cancel_whole: bool = False
) -> None:
    """Each of ``ids`` once, in any order; two thirds of the way through, perhaps, the rest of the batch by one call."""
    shuffled = rng.sample(ids, len(ids))
    for number, job_id in enumerate(shuffled):
        if cancel_whole and number == 2 * len(ids) // 3:
            with database.session_scope() as session:
                batches.cancel(session, batch_id, "p")
        end_one(database, job_id, rng)


def end_one(database: Database, job_id: uuid.UUID, rng: random.Random) -> None:
    if rng.random() < 0.2:
        with database.session_scope() as session:
            jobs.cancel(session, job_id, "p")
        return
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.RENDER, "w", 60)
    if job is None:
        return
    if rng.random() < 0.3:
        with database.session_scope() as session:
            jobs.fail(session, job.id, job.fence, {"code": "undecodable"})
        return
    # Of a few contents, in any order: those who finish wait for each other's renditions too.
    keys = rng.sample([f"content {n}" for n in range(5)], 3)
    rows = [made(f"output {place}", key, place) for place, key in enumerate(keys)]
    with database.session_scope() as session:
        jobs.complete(session, job, found={}, sha256="s", made=rows)


def main(url: str, batch_id: uuid.UUID, seed: str) -> None:
    database, rng = Database(url), random.Random(seed)
    with database.session_scope() as session:
        query = text("SELECT id FROM jobs WHERE batch_id = :id AND status = 'queued'")
        ids = list(session.scalars(query, {"id": batch_id}))
    print("begun", flush=True)
    end_some(database, batch_id, ids, rng)


if __name__ == "__main__":
    main(sys.argv[1], uuid.UUID(sys.argv[2]), sys.argv[3])
