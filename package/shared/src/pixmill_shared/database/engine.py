"""Connections: one pool a process, short transactions, time-outs on the server's side."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg2
from sqlalchemy import Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

#: What a lost, full or read-only database raises, and a pool without a free connection: the work may be tried again.
DatabaseUnavailable: Final = (OperationalError, InterfaceError, PoolTimeout)

#: A server that takes no writes: a standby, a full disk that somebody protected.
_READ_ONLY: Final = "25006"

#: A lock was not to be had in time, or two waited for each other.
_LOCKED: Final = ("55P03", "40P01")

#: Seconds that a connection has rested from which it is tried before it is used. To try each (``pool_pre_ping``) is a
#: round trip more for every transaction. One that the server ended is seen without: there is something to read.
RESTED: Final = 1.0
_RETURNED_AT: Final = "pixmill returned at"

#: What the driver takes for errors of its own making: that, and a transaction that the server ended because it idled.
_PASSING: Final = (_READ_ONLY, "25P03")


def is_read_only(error: BaseException | None) -> bool:
    """``error`` is the driver's. The connection is of no more use: after a failover it leads to what was the primary,
    and a session that began read-only stays so."""
    return getattr(error, "pgcode", None) == _READ_ONLY


def is_answer(error: DBAPIError) -> bool:
    """A server that is there said it, of this statement: another one may succeed."""
    code = getattr(error.orig, "pgcode", None)
    return code is not None and code not in _PASSING and not error.connection_invalidated


def is_locked(error: DBAPIError) -> bool:
    """Somebody holds what the statement needed."""
    return getattr(error.orig, "pgcode", None) in _LOCKED


def told_apart(error: StatementError) -> StatementError:
    """The same error, as an OperationalError if it is the database's state and no mistake in the statement."""
    if isinstance(error, DatabaseUnavailable) or getattr(error.orig, "pgcode", None) not in _PASSING:
        return error
    return OperationalError(error.statement, error.params, error.orig or error, error.hide_parameters)


def _raise_told_apart(context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if is_read_only(context.original_exception):
        context.is_disconnect = True
    if isinstance(error, StatementError) and told_apart(error) is not error:
        raise told_apart(error) from context.original_exception


def _note_return(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_RETURNED_AT] = time.monotonic()


def _try_if_doubtful(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """SQLAlchemy connects anew, and drops what is older, on the error raised here."""
    rested = time.monotonic() - record.info.get(_RETURNED_AT, time.monotonic())
    if rested < RESTED and not _has_unread(connection):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error as error:
        raise InvalidatePoolError from error


def _has_unread(connection: Any) -> bool:
    """The server says nothing between transactions, but that it is ending, and little else."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def server_options(statement_timeout: int) -> str:
    """``options`` of a connection; all times in milliseconds."""
    limits = {
        "statement_timeout": statement_timeout * 1000,
        "lock_timeout": 5_000,
        "idle_in_transaction_session_timeout": 60_000,
        # What is prepared is planned once: for a pass of the dispatcher that costs more than running it. Perhaps while
        # a table is so small that it is best read as a whole, which a plan that is kept must not do.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
    }
    return " ".join(f"-c {name}={value}" for name, value in limits.items())


_AT_END: Final = "pixmill at end"


class Database:
    """A pool and the one way to open a transaction."""

    def __init__(self, url: str, *, pool_size: int = 1, max_overflow: int = 1, statement_timeout: int = 30) -> None:
        self.url = url
        self._engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            # What was used last is the likeliest to live, and has its statements prepared.
            pool_use_lifo=True,
            pool_recycle=1800,
            connect_args=connect_args(statement_timeout),
        )
        event.listen(self._engine, "checkin", _note_return)
        event.listen(self._engine, "checkout", _try_if_doubtful)
        event.listen(self._engine, "handle_error", _raise_told_apart)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """One request or one step of a task: commits at the end, rolls back on any error. Nobody else commits."""
        ended: list[Callable[[], None]] = []
        try:
            with self._sessions.begin() as session:
                session.info[_AT_END] = ended
                yield session
        finally:
            for call in ended:
                call()

    def ping(self) -> None:
        """Raise OperationalError unless the database answers."""
        with self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self, *, after_fork: bool = False) -> None:
        """After a fork the parent's sockets are forgotten, not closed: they are the parent's."""
        self._engine.dispose(close=not after_fork)


def at_end(session: Session, call: Callable[[], None]) -> None:
    """Have ``call`` called when the transaction of ``session_scope`` has ended, committed or not. It may not raise."""
    session.info[_AT_END].append(call)


def connect_args(statement_timeout: int) -> dict[str, Any]:
    """Of psycopg2: a server that went away is noticed in seconds, not in hours."""
    return {
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # Keepalives are silent while something sent is not acknowledged; this is not. In milliseconds.
        "tcp_user_timeout": 20_000,
        "options": server_options(statement_timeout),
    }


def unpooled_engine(url: str, statement_timeout: int = 30) -> Engine:
    """For a single connection of its own: LISTEN, advisory locks, migrations."""
    return create_engine(url, poolclass=NullPool, connect_args=connect_args(statement_timeout))
