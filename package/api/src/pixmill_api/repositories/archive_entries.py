"""What goes into an archive: outputs of completed jobs, in the order of the jobs. Prepared SQL."""

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import SMALLEST_ID

PAGE: Final = 500
"""Outputs that are read at once."""


# Job by job: a plan that joins the tables, made while they were small and kept, would read all outputs.
_OF: Final = """
    FROM jobs j CROSS JOIN LATERAL (
      SELECT o.position, o.name, r.storage_key, r.format, r.bytes, r.sha256
      FROM outputs o JOIN renditions r ON r.id = o.rendition_id WHERE o.job_id = j.id OFFSET 0
    ) AS o
    WHERE {which} AND j.status = 'completed'
"""
_BATCH: Final = _OF.format(which="j.batch_id = $1")
_JOB: Final = _OF.format(which="j.id = $1")
_COLUMNS: Final = "SELECT j.id AS job_id, o.position, o.name, o.storage_key AS key, o.bytes, o.sha256"
_ORDER: Final = "ORDER BY j.id, o.position"

_PAGE = Prepared(
    f"{_COLUMNS} {_BATCH} AND j.id >= $2 AND (j.id, o.position) > ($2, $3) {_ORDER} LIMIT {PAGE}",
    *("uuid", "uuid", "smallint"),
)
_ALL_OF_JOB = Prepared(f"{_COLUMNS} {_JOB} {_ORDER}", "uuid")

# Whatever would make another archive makes another state.
_STATE = """
    SELECT count(*) AS files, coalesce(sum(o.bytes), 0)::bigint AS bytes,
           encode(sha256(convert_to(coalesce(
             string_agg(concat_ws('/', j.id, o.name, o.format, o.sha256), E'\\n' ORDER BY j.id, o.position), ''
           ), 'UTF8')), 'hex') AS digest
"""
_STATE_OF_BATCH = Prepared(f"{_STATE} {_BATCH}", "uuid")
_STATE_OF_JOB = Prepared(f"{_STATE} {_JOB}", "uuid")


@dataclass(frozen=True)
class Entry:
    """An output and its object."""

    job_id: uuid.UUID
    position: int
    name: str
    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """``bytes`` of the files together; ``digest`` in hex: the same contents have the same."""

    files: int
    bytes: int
    digest: str


def of_job(session: Session, job_id: uuid.UUID) -> list[Entry]:
    """All of them: a recipe has a few dozen at most, and a job that generates a few thousand."""
    return [Entry(**row) for row in _ALL_OF_JOB.run(session, job_id)]


def of_batch(session: Session, batch_id: uuid.UUID, after: Entry | None) -> list[Entry]:
    """The next ``PAGE`` of them, fewer at the end."""
    last = (SMALLEST_ID, -1) if after is None else (after.job_id, after.position)
    return [Entry(**row) for row in _PAGE.run(session, batch_id, *last)]


def contents_of_job(session: Session, job_id: uuid.UUID) -> Contents:
    return Contents(**_STATE_OF_JOB.run(session, job_id)[0])


def contents_of_batch(session: Session, batch_id: uuid.UUID) -> Contents:
    return Contents(**_STATE_OF_BATCH.run(session, batch_id)[0])
