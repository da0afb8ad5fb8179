"""One pass of the dispatcher: take the due rows, publish them, commit."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pixmill_shared.database.engine import is_answer, is_locked
from pixmill_shared.dispatcher import metrics
from pixmill_shared.dispatcher.kinds import KINDS, Kind
from pixmill_shared.dispatcher.outlets import Message, Outlet
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories.lanes import plan_for_many, trim
from pixmill_shared.repositories.work import Due, wait_briefly
from pixmill_shared.runtime import Runtime

log = get_logger(__name__)

PUT_OFF: Final = 60.0
"""Seconds until a row that this version cannot handle is tried again; perhaps by a newer one."""


class Dispatcher:
    """Gives what is due of ``kinds`` to ``outlet``."""

    def __init__(self, runtime: Runtime, outlet: Outlet, kinds: Sequence[Kind] = KINDS) -> None:
        self.outlet = outlet
        self._kinds = kinds
        self._runtime = runtime
        self._settings = runtime.work

    def pass_over(self) -> int:
        """All kinds once; how many messages were published. Raises what the database or the outlet raised."""
        return sum(self.dispatch(kind) for kind in self._kinds)

    def recover(self) -> None:
        """Delayed rows whose time has come, lost messages, silent workers, rows that the passes left behind.

        What fails of one kind is logged and counted, and holds up no other. Raises what a database that is away raises.
        """
        for kind in self._kinds:
            self._apart(kind, self._recover)
            if kind.tidy is not None:
                self._apart(kind, self._tidy)

    def trim(self) -> None:
        """Forget how far the dispatcher was long ago; fails as ``recover`` does."""
        for kind in self._kinds:
            self._apart(kind, self._trim)

    def _apart(self, kind: Kind, step: Callable[[Session, Kind], None]) -> None:
        """In a transaction of its own, which waits for nobody for long."""
        try:
            with self._runtime.database.session_scope() as session:
                wait_briefly(session)
                step(session, kind)
        except DBAPIError as error:
            if not is_answer(error):
                raise
            metrics.RECOVERIES_FAILED.labels(table=kind.work.table).inc()
            log.error("recovery failed, going on without", table=kind.work.table, error=type(error.orig).__name__)

    def _tidy(self, session: Session, kind: Kind) -> None:
        if kind.tidy is not None:
            kind.tidy(session, self._settings)

    def _trim(self, session: Session, kind: Kind) -> None:
        trim(session, list(kind.queues), kind.window(self._settings))

    def dispatch(self, kind: Kind) -> int:
        """One kind once; the same."""
        with self._runtime.database.session_scope() as session:
            taken = self.outlet.take(session, kind)
            messages = [message for row in taken if (message := self._message(session, kind, row))]
            # Published before the commit: a crash in between sends a message twice, which a claim makes harmless.
            # The other way round would lose it until the recovery finds it.
            if messages:
                failpoint("dispatch.taken", kind.work.table)
                self.outlet.publish(messages)
                failpoint("dispatch.published", kind.work.table)
        if messages:
            failpoint("dispatch.committed", kind.work.table)
        for message in messages:
            metrics.DISPATCHED.labels(queue=message.queue).inc()
        return len(messages)

    def _message(self, session: Session, kind: Kind, row: Due) -> Message | None:
        """None for a row that this version has no message for: it is put off, so that it stops none of the others."""
        try:
            task, payload = kind.message(row)
        except (ValueError, LookupError) as error:
            metrics.UNPUBLISHABLE.labels(table=kind.work.table).inc()
            log.error("no message for a row, putting it off", table=kind.work.table, id=str(row.id), error=str(error))
            kind.work.postpone(session, row.id, PUT_OFF)
            return None
        return Message(row.queue, task, payload, str(row.id) if kind.requested else None)

    def _recover(self, session: Session, kind: Kind) -> None:
        settings, work, window = self._settings, kind.work, kind.window(self._settings)
        plan_for_many(session)
        work.ripen(session)
        lost = work.forget_lost(session, kind.queues, settings.redispatch_after, window)
        most = kind.max_attempts or settings.max_attempts
        if shortened := work.shorten_leases(session, settings.lease):
            log.warning("the clock was set back, shortening leases", table=work.table, rows=shortened)
        expired = work.expire_leases(session, most)
        self._give_up(session, kind, work.exhausted(session, most))
        work.lift(session, kind.queues, window)
        if lost:
            metrics.REDISPATCHED.labels(table=work.table).inc(lost)
            log.warning("messages lost, sending again", table=work.table, rows=lost)
        if expired:
            metrics.LEASES_EXPIRED.labels(table=work.table).inc(expired)
            log.warning("workers went silent, work is due again", table=work.table, rows=expired)

    def _give_up(self, session: Session, kind: Kind, rows: Sequence[dict[str, Any]]) -> None:
        held: set[str] = set()
        for row in rows:
            # What is held is most likely the batch or the receiver that all of the owner's rows need.
            if row["owner"] not in held and not self._given_up(session, kind, row["id"], row["fence"]):
                held.add(row["owner"])

    def _given_up(self, session: Session, kind: Kind, row_id: uuid.UUID, fence: int) -> bool:
        """False: somebody holds what that needs, and the row is left for the next look."""
        try:
            with session.begin_nested():
                kind.give_up(session, row_id, fence)
        except DBAPIError as error:
            if is_locked(error):
                log.warning("somebody holds what giving up needs", table=kind.work.table, id=str(row_id))
                return False
            if not is_answer(error):
                raise
            self._hold(session, kind, row_id, fence, type(error.orig).__name__)
        except (ValueError, LookupError) as error:
            self._hold(session, kind, row_id, fence, str(error))
        else:
            log.error("attempts exhausted", table=kind.work.table, id=str(row_id))
        return True

    def _hold(self, session: Session, kind: Kind, row_id: uuid.UUID, fence: int, error: str) -> None:
        metrics.UNPUBLISHABLE.labels(table=kind.work.table).inc()
        log.error("cannot give up a row, leaving it", table=kind.work.table, id=str(row_id), error=error)
        kind.work.hold(session, row_id, fence, PUT_OFF)
