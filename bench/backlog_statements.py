"""Databases with few and with very many queued rows, and what the statements on the hot path cost in them."""

import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from sqlalchemy import text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database, unpooled_engine
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs, lanes

QUEUES = list(KINDS[0].queues)
WINDOW = 32
STATEMENTS = ("submit", "dispatch", "claim", "finish")
#: What claims and finishes leave behind, many rows at once.
_LIFE = (
    "status = 'processing', fence = fence + 1, attempts = 1, dispatched_at = NULL, lease_until = clock_timestamp()",
    "status = 'completed', stage = NULL, lease_until = NULL, finished_at = clock_timestamp()",
)
_RECIPE = '{"outputs": [{"name": "web", "format": "webp", "operations": [{"op": "resize", "width": 800}]}]}'


class Backlog:
    """A database of its own, with one connection. Times in milliseconds, wall and CPU of the server's process."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self._wall: dict[str, list[float]] = defaultdict(list)
        self._cpu: dict[str, list[float]] = defaultdict(list)
        with self.database.session_scope() as session:
            self._backend = int(session.scalar(text("SELECT pg_backend_pid()")) or 0)

    def fill(self, rows: int, owners: int = 100) -> None:
        """Queued rows, as after a night without workers."""
        self._fill(rows, owners)
        self.analyze()

    def analyze(self) -> None:
        """As autovacuum would; outside a transaction."""
        engine = unpooled_engine(self.database.url, statement_timeout=0).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE jobs"))

    def round(self) -> None:
        """A window of jobs comes in, is dispatched, claimed and finished."""
        with self.database.session_scope() as session:
            for n in range(WINDOW):
                with self._timed("submit"):
                    jobs.insert(session, new_job(f"p{n}"))
        with self.database.session_scope() as session, self._timed("dispatch"):
            due = jobs.WORK.take_due(session, QUEUES, WINDOW)
        assert len(due) == WINDOW
        for row in due:
            with self.database.session_scope() as session, self._timed("claim"):
                job = jobs.claim(session, row.id, Stage.RENDER, "bench", 60)
            assert job is not None
            with self.database.session_scope() as session, self._timed("finish"):
                assert jobs.complete(session, job, found={}, sha256="0", made=[_made()]) is not None

    def recover(self) -> float:
        """Milliseconds of what runs once a second."""
        begun = time.perf_counter()
        with self.database.session_scope() as session:
            lanes.plan_for_many(session)
            jobs.WORK.ripen(session)
            jobs.WORK.forget_lost(session, QUEUES, 30, WINDOW)
            jobs.WORK.expire_leases(session, 3)
            jobs.WORK.exhausted(session, 3)
            jobs.WORK.lift(session, QUEUES, WINDOW)
        return (time.perf_counter() - begun) * 1000

    def pass_through(self, rows: int, at_once: int = 500) -> None:
        """So many rows come, are dispatched, claimed and finished, each in versions of its own as in earnest."""
        for _ in range(rows // at_once):
            self._fill(at_once, owners=100)
            self.take(at_once)

    def take(self, window: int) -> list[uuid.UUID]:
        """One pass, whose rows are claimed and finished."""
        with self.database.session_scope() as session:
            ids = [row.id for row in jobs.WORK.take_due(session, QUEUES, window)]
        for change in _LIFE:
            with self.database.session_scope() as session:
                sql = f"UPDATE jobs SET {change} WHERE id = ANY(CAST(:ids AS uuid[]))"
                session.execute(text(sql), {"ids": [str(each) for each in ids]})
        return ids

    def _fill(self, rows: int, owners: int) -> None:
        """Queued rows of ``owners``, each with its turns from the one that is dispatched next."""
        sql = f"""
            INSERT INTO jobs (id, project, owner, stage, queue, priority, source, source_key, recipe, turn)
            SELECT uuidv7(), 'p' || n % :owners, 'project:p' || n % :owners, 'render', 'imaging', 1,
                   '{{"upload_id": "u", "bytes": 1000000, "sha256": "0"}}', 'uploads/' || n, '{_RECIPE}',
                   base.turn + (n - 1) / :owners
            FROM generate_series(1, :rows) AS n,
                 (SELECT {lanes.reached("'imaging'", "1")} + 1 AS turn OFFSET 0) AS base
        """
        with self.database.session_scope() as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            session.execute(text(sql), {"rows": rows, "owners": owners})

    @contextmanager
    def old_snapshot(self) -> Iterator[None]:
        """As of a backup that runs all the while."""
        engine = unpooled_engine(self.database.url).execution_options(isolation_level="REPEATABLE READ")
        with engine.connect() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT count(*) FROM dispatch_marks"))
            yield
            connection.rollback()

    def forget(self) -> None:
        """The times so far."""
        self._wall.clear()
        self._cpu.clear()

    def wall(self, statement: str) -> float:
        return median(self._wall[statement])

    def cpu(self, statement: str) -> float:
        return sum(self._cpu[statement]) / len(self._cpu[statement])

    @contextmanager
    def _timed(self, statement: str) -> Iterator[None]:
        cpu, begun = _cpu_of(self._backend), time.perf_counter()
        yield
        self._wall[statement].append((time.perf_counter() - begun) * 1000)
        self._cpu[statement].append(_cpu_of(self._backend) - cpu)


def new_job(project: str) -> jobs.NewJob:
    source = {"upload_id": "u", "bytes": 1_000_000, "sha256": "0"}
    return jobs.NewJob(
        *(project, Stage.RENDER, QueueName.IMAGING, 1), source=source, source_key="uploads/u", recipe={"outputs": []}
    )


def interleaved(backlogs: Sequence[Backlog], rounds: int) -> None:
    """So that whatever else the machine does hits all of them alike. The first rounds do not count."""
    for turn in range(rounds + 8):
        if turn == 8:
            for backlog in backlogs:
                backlog.forget()
        for backlog in backlogs:
            backlog.round()


def _made() -> dict[str, object]:
    rendition = new_id()
    return {
        "name": "web",
        "position": 0,
        "cached": False,
        "id": str(rendition),
        "key": uuid.uuid4().hex,
        "storage_key": f"renditions/{rendition}.webp",
        "recipe_hash": "r",
        "engine": "bench",
        "format": "webp",
        "media_type": "image/webp",
        "width": 8,
        "height": 6,
        "bytes": 100,
        "sha256": "s",
        "frames": 1,
    }


def _cpu_of(pid: int) -> float:
    """Milliseconds on a processor, to the nanosecond; 0 where there is no such file."""
    file = Path(f"/proc/{pid}/schedstat")
    return int(file.read_text().split()[0]) / 1e6 if file.exists() else 0.0
