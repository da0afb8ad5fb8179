"""Made images. Prepared SQL for the look-ups on the hot path."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

_FIND = Prepared(
    """
    SELECT id, key, storage_key, format, media_type, width, height, bytes, sha256, recipe_hash, engine,
           thumbhash, dominant_color, frames, source_facts
    FROM renditions WHERE key = ANY($1)
    """,
    "text[]",
)


_LOCK = Prepared("SELECT id FROM renditions WHERE id = ANY($1::uuid[]) ORDER BY key FOR KEY SHARE", "text[]")


def find(session: Session, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows that exist, by key."""
    return {row["key"]: row for row in _FIND.run(session, list(keys))}


def lock(session: Session, ids: Collection[str]) -> bool:
    """Keep the rows until the transaction ends. False: one of them has been deleted."""
    return not ids or len(_LOCK.run(session, list(ids))) == len(set(ids))
