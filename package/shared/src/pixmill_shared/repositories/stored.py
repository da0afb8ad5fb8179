"""Which objects rows name, a page of rows at a time. Prepared SQL: all rows are looked at, once a week."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared


@dataclass(frozen=True)
class Named:
    """``objects``: the name of each row's object by the row's id; ``last``: where the next page begins, None: there is
    none."""

    objects: dict[str, str]
    looked_at: int
    last: uuid.UUID | None


@dataclass(frozen=True)
class Kind:
    """Rows of one table; ``key`` is an expression, NULL where the row names no object that has to be there."""

    table: str
    key: str

    def statements(self) -> tuple[Prepared, Prepared, Prepared]:
        page = f"SELECT id::text, {self.key} AS key FROM {self.table} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
        again = f"SELECT id::text, {self.key} AS key FROM {self.table} WHERE id = ANY($1::uuid[])"
        ends = f"""
            SELECT (SELECT id::text FROM {self.table} ORDER BY id LIMIT 1) AS first,
                   (SELECT id::text FROM {self.table} ORDER BY id DESC LIMIT 1) AS last
        """
        return Prepared(page, "uuid", "uuid", "bigint"), Prepared(again, "text[]"), Prepared(ends)


KINDS: Final[Mapping[str, Kind]] = {
    "uploads": Kind("uploads", "key"),
    "renditions": Kind("renditions", "storage_key"),
    "sources": Kind("jobs", "CASE WHEN source_key LIKE 'sources/%' THEN source_key END"),
    "archives": Kind("task_requests", "result ->> 'key'"),
    "backups": Kind("backups", "CASE WHEN status = 'completed' THEN key END"),
}
_STATEMENTS: Final = {name: kind.statements() for name, kind in KINDS.items()}


def ends(session: Session, kind: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """The first id and the last; None: there is no row."""
    (row,) = _STATEMENTS[kind][2].run(session)
    return None if row["first"] is None else (uuid.UUID(row["first"]), uuid.UUID(row["last"]))


def page(session: Session, kind: str, after: uuid.UUID, up_to: uuid.UUID, limit: int) -> Named:
    """The rows of a kind whose ids follow the one, up to the other."""
    rows = _STATEMENTS[kind][0].run(session, after, up_to, limit)
    named = {row["id"]: row["key"] for row in rows if row["key"] is not None}
    return Named(named, len(rows), uuid.UUID(rows[-1]["id"]) if len(rows) == limit else None)


def still_named(session: Session, kind: str, ids: Collection[str]) -> dict[str, str]:
    """What the rows that are left of ``ids`` name now, by id."""
    rows = _STATEMENTS[kind][1].run(session, list(ids))
    return {row["id"]: row["key"] for row in rows if row["key"] is not None}
