"""A desk with a clock of the test's own, and what it wrote."""

import datetime
import threading
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from pixmill_notifier.service.desk import Desk
from pixmill_notifier.service.evaluate import evaluate
from pixmill_notifier.settings import AlertSettings
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Alert, AlertMessage
from pixmill_shared.domain.ids import least_id

T0 = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
TABLES = (
    *("jobs", "renditions", "uploads", "dead_letters", "alerts", "alert_messages", "reports"),
    *("queue_samples", "backups", "service_health"),
)


def patient(url: str, **pool: int) -> Database:
    """It waits for a lock, and for the server to take a connection, for longer than a machine may stand still."""
    database = Database(url, statement_timeout=600, **pool)

    def wait(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["connect_timeout"] = 60
        parameters["options"] += " -c lock_timeout=120000"

    event.listen(database._engine, "do_connect", wait)
    return database


@dataclass
class Clock:
    now: datetime.datetime = T0

    def __call__(self, _session: Session) -> datetime.datetime:
        return self.now


@dataclass
class Watch:
    """Rows in, messages out, at moments that the test chooses."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    channels: tuple[str, ...] = ("log", "slack")
    directory: str = ""
    zone: str = "Europe/Berlin"

    def desk(self) -> Desk:
        settings = AlertSettings()
        return Desk(
            database=self.database,
            channels=self.channels,
            thresholds=settings.thresholds,
            policy=settings.policy,
            failure_window=settings.failure_span,
            directory=self.directory,
            zone=ZoneInfo(self.zone),
            clock=self.clock,
        )

    @property
    def now(self) -> datetime.datetime:
        return self.clock.now

    def empty(self) -> None:
        self.run(f"TRUNCATE {', '.join(TABLES)} CASCADE")

    def run(self, sql: str, **values: Any) -> None:
        with self.database.session_scope() as session:
            session.execute(text(sql), values)

    def tick(self, minutes: int = 1) -> int:
        """Time passes, then all is looked at; how many changes there were."""
        self.clock.now += minutes * MINUTE
        with self.database.session_scope() as session:
            return evaluate(session, self.desk())

    def service(self, name: str, failures: int, code: int | None = None) -> None:
        self.run(
            """
            INSERT INTO service_health (service, status, failures, status_code, checked_at)
            VALUES (:name, :status, :failures, :code, :now)
            ON CONFLICT (service) DO UPDATE SET status = :status, failures = :failures, checked_at = :now
            """,
            name=name,
            status="unhealthy" if failures else "healthy",
            failures=failures,
            code=code,
            now=self.now + MINUTE,
        )

    def job(self, status: str, at: datetime.datetime, *, seconds: float = 1.0, **columns: Any) -> None:
        values = {"source": "{}", "error": None, **columns}
        self.run(
            """
            INSERT INTO jobs (id, project, stage, queue, source, recipe, status, error, started_at, finished_at)
            VALUES (:id, 'default', NULL, 'imaging', :source, '{}', :status, :error,
                    CAST(:at AS timestamptz) - make_interval(secs => :seconds), :at)
            """,
            **values,
            id=new_id_at(at),
            status=status,
            at=at,
            seconds=seconds,
        )

    def alerts(self) -> list[Alert]:
        with self.database.session_scope() as session:
            return list(session.scalars(select(Alert).order_by(Alert.id)))

    def messages(self, channel: str = "slack") -> list[AlertMessage]:
        query = select(AlertMessage).where(AlertMessage.channel == channel).order_by(AlertMessage.id)
        with self.database.session_scope() as session:
            return list(session.scalars(query))

    def told(self) -> list[list[tuple[str, str, str]]]:
        """Change, rule and subject, message by message."""
        return [
            [(each["change"], each["rule"], each["subject"]) for each in message.body["changes"]]
            for message in self.messages()
        ]


_count = iter(range(1, 1 << 40))


def new_id_at(moment: datetime.datetime) -> str:
    """An id as it would have been minted then; all differ."""
    import uuid

    return str(uuid.UUID(int=least_id(moment).int | next(_count)))


def together(*calls: Any) -> list[Any]:
    """All at once, each in a thread; their results."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place: int) -> None:
        barrier.wait(60)
        results[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results
