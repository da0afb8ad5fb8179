"""What Postgres does for a statement, counted: rows that it looks at in each table, and pages that it reads."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg2

from pixmill_shared.database.engine import connect_args

_PREPARE: Final = re.compile(r"\s*PREPARE (\w+)")
_EXECUTE: Final = re.compile(r"\s*EXECUTE (\w+)")
_SETS: Final = "set_config("
_ASKS: Final = re.compile(r"\s*(SELECT|WITH|EXECUTE)\b", re.IGNORECASE)
_PARTITIONED: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|'(?:[^']|'')*'|\b\d+\b")


@dataclass
class Plan:
    """``looked_at``: rows by table, those that were thrown away too. ``pages`` of 8 KiB. ``scanned``: tables read as a
    whole. ``ms`` by the server's clock.
    """

    statement: str
    looked_at: Counter[str] = field(default_factory=Counter)
    scanned: set[str] = field(default_factory=set)
    pages: int = 0
    ms: float = 0.0


class Explainer:
    """A connection as those of the API, whose settings decide about plans."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url.replace("+psycopg2", ""), **connect_args(300))
        #: By name; what a connection has prepared outlives its transactions.
        self._prepared: dict[str, str] = {}
        self._tables = self._tables_of_indexes()
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    def plans(self, statements: Sequence[str], known: Collection[str] = ()) -> Iterator[Plan]:
        """Of those that ask for something and are not ``known``. They are run in one transaction, and rolled back; what
        changes settings is not explained, and counts for those after it.
        """
        for statement in statements:
            if prepared := _PREPARE.match(statement):
                self._prepare(prepared[1], statement)
            elif _SETS in self._prepared.get(_name(statement), statement):
                self._run(statement)
            elif _ASKS.match(statement) and statement not in known:
                yield self._plan(statement)
        self._connection.rollback()

    def _prepare(self, name: str, statement: str) -> None:
        if name not in self._prepared:
            self._prepared[name] = statement
            self._run(statement)

    def _plan(self, statement: str) -> Plan:
        ((document,),) = self._run(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}")
        explained = document[0] if isinstance(document, list) else json.loads(document)[0]
        root = explained["Plan"]
        plan = Plan(statement, pages=root["Shared Hit Blocks"] + root["Shared Read Blocks"])
        plan.ms = explained["Execution Time"]
        for node in _nodes(root):
            self._count(node, plan)
        return plan

    def _count(self, node: dict[str, Any], plan: Plan) -> None:
        table = node.get("Relation Name") or self._tables.get(node.get("Index Name", ""))
        if table is None:
            return
        thrown = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        # Of all loops; a bitmap's index entries are counted, and its rows again.
        plan.looked_at[table] += round((node["Actual Rows"] + thrown) * node["Actual Loops"])
        if node["Node Type"].endswith("Seq Scan") and node["Actual Loops"]:
            plan.scanned.add(table)

    def _run(self, sql: str) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def _tables_of_indexes(self) -> dict[str, str]:
        return dict(self._run("SELECT indexname, tablename FROM pg_indexes WHERE schemaname = 'public'"))


def shape(statement: str) -> str:
    """What statements have in common that differ in their values only."""
    return _PARTITIONED.sub("?", " ".join(statement.split()))


def _name(statement: str) -> str:
    """Of a prepared statement that is executed."""
    found = _EXECUTE.match(statement)
    return found[1] if found else ""


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)
