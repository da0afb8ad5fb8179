"""Which objects rows name, a page of rows at a time. Prepared SQL: all rows are looked at, once a week."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import SMALLEST_ID


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

    def statements(self) -> tuple[Prepared, Prepared]:
        page = f"SELECT id::text, {self.key} AS key FROM {self.table} WHERE id > $1 ORDER BY id LIMIT $2"
        again = f"SELECT id::text, {self.key} AS key FROM {self.table} WHERE id = ANY($1::uuid[])"
        return Prepared(page, "uuid", "bigint"), Prepared(again, "text[]")


KINDS: Final[Mapping[str, Kind]] = {
    "uploads": Kind("uploads", "key"),
    "renditions": Kind("renditions", "storage_key"),
    "sources": Kind("jobs", "CASE WHEN source_key LIKE 'sources/%' THEN source_key END"),
    "archives": Kind("task_requests", "result ->> 'key'"),
    "backups": Kind("backups", "CASE WHEN status = 'completed' THEN key END"),
}
_STATEMENTS: Final = {name: kind.statements() for name, kind in KINDS.items()}


def page(session: Session, kind: str, after: uuid.UUID | None, limit: int) -> Named:
    """The rows of a kind that follow a place; None is the beginning."""
    rows = _STATEMENTS[kind][0].run(session, after or SMALLEST_ID, limit)
    named = {row["id"]: row["key"] for row in rows if row["key"] is not None}
    return Named(named, len(rows), uuid.UUID(rows[-1]["id"]) if len(rows) == limit else None)


def still_named(session: Session, kind: str, ids: Collection[str]) -> dict[str, str]:
    """What the rows that are left of ``ids`` name now, by id."""
    rows = _STATEMENTS[kind][1].run(session, list(ids))
    return {row["id"]: row["key"] for row in rows if row["key"] is not None}
