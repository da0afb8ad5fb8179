"""Made images. Prepared SQL for the look-up on the hot path."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

_FIND = Prepared(
    """
    SELECT key, storage_key, format, media_type, width, height, bytes, sha256, recipe_hash, engine,
           thumbhash, dominant_color, frames
    FROM renditions WHERE key = ANY($1)
    """,
    "text[]",
)


def find(session: Session, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The renditions that exist, by key."""
    return {row["key"]: row for row in _FIND.run(session, list(keys))}
