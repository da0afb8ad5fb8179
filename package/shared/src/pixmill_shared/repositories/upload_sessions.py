"""Uploads that are not complete: who writes now, and which bytes are safe. Prepared SQL; a part is megabytes.

One request at a time has the lock of a session, until it gives it back or stops to renew it. All times are the
database's. What the holder writes carries its name in the WHERE, so one that was away too long changes nothing.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

TUS: Final = "tus"
PRESIGNED: Final = "presigned"

_NAMESPACE: Final = 5_140_912_268_301_177  # any constant of ours: other advisory locks have other numbers

_COLUMNS: Final = "id, project, kind, media_type, length, sha256, received, metadata, expires_at"

_LOCK_PROJECT = Prepared(
    f"SELECT pg_advisory_xact_lock(hashtextextended($1, {_NAMESPACE})) IS NULL AS done",
    "text",
)

_COUNT = Prepared(
    "SELECT count(*) AS open FROM upload_sessions WHERE project = $1 AND expires_at > clock_timestamp()",
    "text",
)

_INSERT = Prepared(
    f"""
    INSERT INTO upload_sessions (id, project, kind, media_type, length, sha256, metadata, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, date_trunc('second', clock_timestamp()) + make_interval(secs => $8))
    RETURNING {_COLUMNS}
    """,
    *("uuid", "text", "text", "text", "bigint", "text", "text", "double precision"),
)

_FIND = Prepared(
    f"""
    SELECT {_COLUMNS}, expires_at <= clock_timestamp() AS expired, locked_until > clock_timestamp() AS locked
    FROM upload_sessions WHERE id = $1 AND ($2 IS NULL OR project = $2) AND kind = $3
    """,
    *("uuid", "text", "text"),
)

_LOCK = Prepared(
    f"""
    UPDATE upload_sessions SET locked_by = $2, locked_until = clock_timestamp() + make_interval(secs => $3)
    WHERE id = $1 AND (locked_until IS NULL OR locked_until <= clock_timestamp()) AND expires_at > clock_timestamp()
    RETURNING {_COLUMNS}
    """,
    *("uuid", "text", "double precision"),
)

_RENEW = Prepared(
    """
    UPDATE upload_sessions SET locked_until = clock_timestamp() + make_interval(secs => $3)
    WHERE id = $1 AND locked_by = $2 RETURNING id
    """,
    *("uuid", "text", "double precision"),
)

_UNLOCK = Prepared(
    "UPDATE upload_sessions SET locked_by = NULL, locked_until = NULL WHERE id = $1 AND locked_by = $2 RETURNING id",
    *("uuid", "text"),
)

_ADD_PARTS = Prepared(
    """
    WITH mine AS (
      UPDATE upload_sessions SET received = received + (SELECT sum(bytes) FROM unnest($5) AS given(bytes))::bigint
      WHERE id = $1 AND locked_by = $2 AND received = $3 RETURNING id
    )
    INSERT INTO upload_parts (upload_id, start, bytes, key)
    SELECT mine.id, $3 + sum(given.bytes) OVER (ORDER BY position) - given.bytes, given.bytes, given.key
    FROM mine, unnest($4, $5) WITH ORDINALITY AS given(key, bytes, position)
    RETURNING start
    """,
    *("uuid", "text", "bigint", "text[]", "bigint[]"),
)

_PARTS = Prepared("SELECT start, bytes, key FROM upload_parts WHERE upload_id = $1 ORDER BY start", "uuid")

_END = Prepared(
    "DELETE FROM upload_sessions WHERE id = $1 AND locked_by = $2 RETURNING id",
    *("uuid", "text"),
)

_EXPIRED = Prepared(
    """
    SELECT id, kind FROM upload_sessions
    WHERE expires_at <= clock_timestamp() AND (locked_until IS NULL OR locked_until <= clock_timestamp())
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    """,
    "bigint",
)

_DELETE = Prepared("DELETE FROM upload_sessions WHERE id = ANY($1::uuid[]) RETURNING id", "text[]")

_PART_KEYS = Prepared("SELECT key FROM upload_parts WHERE upload_id = ANY($1::uuid[])", "text[]")


@dataclass(frozen=True)
class UploadSessionRow:
    """``length`` was announced, None if not; ``received`` bytes are safe. ``metadata`` is as a client of tus sent it.
    ``locked`` and ``expired`` are as of the look; who holds the lock looks at no others.
    """

    id: uuid.UUID
    project: str
    kind: str
    media_type: str
    length: int | None
    sha256: str | None
    received: int
    metadata: str | None
    expires_at: datetime.datetime
    locked: bool = False
    expired: bool = False


@dataclass(frozen=True)
class PartRow:
    """``bytes`` from ``start`` on are in the object ``key``."""

    start: int
    bytes: int
    key: str


@dataclass(frozen=True)
class NewSession:
    """``ttl`` in seconds."""

    id: uuid.UUID
    project: str
    kind: str
    media_type: str
    ttl: float
    length: int | None = None
    sha256: str | None = None
    metadata: str | None = None


def insert(session: Session, new: NewSession, most: int) -> UploadSessionRow | None:
    """None: the project has ``most`` unfinished uploads already. Who counts, counts alone."""
    _LOCK_PROJECT.run(session, new.project)
    if _COUNT.run(session, new.project)[0]["open"] >= most:
        return None
    values = (new.id, new.project, new.kind, new.media_type, new.length, new.sha256, new.metadata, new.ttl)
    return _row(_INSERT.run(session, *values)[0])


def find(session: Session, project: str | None, session_id: uuid.UUID, kind: str) -> UploadSessionRow | None:
    """None also for another project's, if one is given."""
    rows = _FIND.run(session, session_id, project, kind)
    return _row(rows[0]) if rows else None


def lock(session: Session, session_id: uuid.UUID, owner: str, seconds: float) -> UploadSessionRow | None:
    """The row as the holder finds it. None: somebody else has the lock, or it has expired or gone."""
    rows = _LOCK.run(session, session_id, owner, seconds)
    return _row(rows[0]) if rows else None


def renew(session: Session, session_id: uuid.UUID, owner: str, seconds: float) -> bool:
    """False: the lock is lost."""
    return bool(_RENEW.run(session, session_id, owner, seconds))


def unlock(session: Session, session_id: uuid.UUID, owner: str) -> None:
    """A lock that is somebody else's now stays."""
    _UNLOCK.run(session, session_id, owner)


def add_parts(
    session: Session, session_id: uuid.UUID, owner: str, start: int, parts: Sequence[tuple[str, int]]
) -> bool:
    """Objects and their bytes are safe from ``start`` on, in their order. False: the lock is lost, nothing is added."""
    keys, sizes = [key for key, _ in parts], [size for _, size in parts]
    return bool(_ADD_PARTS.run(session, session_id, owner, start, keys, sizes))


def parts_of(session: Session, session_id: uuid.UUID) -> list[PartRow]:
    """In the order of their bytes."""
    return [PartRow(**row) for row in _PARTS.run(session, session_id)]


def end(session: Session, session_id: uuid.UUID, owner: str) -> bool:
    """The session and its parts go. False: the lock is lost, and they stay."""
    return bool(_END.run(session, session_id, owner))


def delete_expired(session: Session, limit: int) -> tuple[list[uuid.UUID], list[str]]:
    """At most ``limit`` sessions whose time is over and that nobody writes; their ids, and the objects of parts."""
    ids = [row["id"] for row in _EXPIRED.run(session, limit)]
    if not ids:
        return [], []
    keys = [row["key"] for row in _PART_KEYS.run(session, _texts(ids))]
    _DELETE.run(session, _texts(ids))
    return [uuid.UUID(str(found)) for found in ids], keys


def _texts(ids: Sequence[Any]) -> list[str]:
    return [str(found) for found in ids]


def _row(row: dict[str, Any]) -> UploadSessionRow:
    # The driver gives ids as text.
    return UploadSessionRow(
        **{
            **row,
            "id": uuid.UUID(str(row["id"])),
            "locked": bool(row.get("locked")),
            "expired": bool(row.get("expired")),
        }
    )
