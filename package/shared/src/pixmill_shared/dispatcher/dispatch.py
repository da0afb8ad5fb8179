"""One pass of the dispatcher: take the due rows, publish them, commit."""

from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.dispatcher import metrics
from pixmill_shared.dispatcher.kinds import KINDS, Kind
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories.work import Due
from pixmill_shared.runtime import Runtime

log = get_logger(__name__)


class Dispatcher:
    """Publishes through one broker connection of ``app``, kept until ``disconnect()``.

    Not one of Celery's pools: a pool that lost its connections blocks whoever asks it for one.
    """

    def __init__(self, runtime: Runtime, app: Any) -> None:
        self._runtime = runtime
        self._app = app
        self._settings = runtime.work
        self._producer: Any = None

    def disconnect(self) -> None:
        """What failed once is not tried again: the next pass opens a new connection."""
        if self._producer is not None:
            self._producer.connection.collect()
            self._producer = None

    def pass_over(self) -> int:
        """All kinds once; how many messages were published. Raises what the database or the broker raised."""
        return sum(self._dispatch(kind) for kind in KINDS)

    def recover(self) -> None:
        """Delayed rows whose time has come, lost messages, silent workers."""
        for kind in KINDS:
            with self._runtime.database.session_scope() as session:
                self._recover(session, kind)

    def _dispatch(self, kind: Kind) -> int:
        with self._runtime.database.session_scope() as session:
            rows = kind.work.take_due(session, kind.queues, self._settings.window)
            # Published before the commit: a crash in between sends a message twice, which a claim makes harmless.
            # The other way round would lose it until the recovery finds it.
            if rows:
                failpoint("dispatch.taken", kind.work.table)
                self._publish(kind, rows)
                failpoint("dispatch.published", kind.work.table)
        if rows:
            failpoint("dispatch.committed", kind.work.table)
        for row in rows:
            metrics.DISPATCHED.labels(queue=row.queue).inc()
        return len(rows)

    def _publish(self, kind: Kind, rows: list[Due]) -> None:
        if self._producer is None:
            self._producer = self._app.amqp.Producer(self._app.connection_for_write(), auto_declare=False)
        with self._producer.batch():
            for row in rows:
                task, payload = kind.message(row)
                self._app.send_task(
                    task.value,
                    kwargs=payload,
                    queue=row.queue,
                    producer=self._producer,
                    ignore_result=True,
                    retry=False,
                )

    def _recover(self, session: Session, kind: Kind) -> None:
        settings, table = self._settings, kind.work.table
        kind.work.ripen(session)
        lost = kind.work.forget_lost(session, kind.queues, settings.redispatch_after)
        most = kind.max_attempts or settings.max_attempts
        expired = kind.work.expire_leases(session, most)
        for row in kind.work.exhausted(session, most):
            kind.give_up(session, row["id"], row["fence"])
            log.error("attempts exhausted", table=table, id=str(row["id"]))
        if lost:
            metrics.REDISPATCHED.labels(table=table).inc(lost)
            log.warning("messages lost, sending again", table=table, rows=lost)
        if expired:
            metrics.LEASES_EXPIRED.labels(table=table).inc(expired)
            log.warning("workers went silent, work is due again", table=table, rows=expired)
