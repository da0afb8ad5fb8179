"""From what the broker brought and nobody can do to rows of ``dead_letters``, beside the work of a worker.

Items that are no messages wait on a list in Redis, refused messages in this process' memory; so do ends of tasks whose
process was killed and that have no row. One thread of a worker's main process records all; while the database is down
they wait.
"""

import json
import threading
import time
import uuid
from collections import defaultdict, deque
from typing import Any, Final

from celery import bootsteps
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pixmill_shared.database.engine import unpooled_engine
from pixmill_shared.domain.failures import storable
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.refusals import TITLES, Allowance, Refusal
from pixmill_shared.observability import metrics
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories.dead_letters import RefusedItem, keep_refused
from pixmill_shared.service.task_ends import TaskLoss, record_loss
from pixmill_shared.settings.database import DatabaseSettings

log = get_logger(__name__)

POISON: Final = "pixmill.poison"
"""The Redis list of items that are no messages, as ``to_json()`` writes them; the oldest is the last."""

LOOK_EVERY: Final = 30.0
"""Seconds between looks at the list: it may hold what another process could not record."""
TRY_AGAIN_AFTER: Final = 3.0
STATEMENT_TIMEOUT: Final = 5
MOST_WAITING: Final = 1_000
LONGEST_NAME: Final = 200


class Letterbox:
    """``letter()`` and ``post()`` are called by the worker's own loop and never wait for the database."""

    def __init__(self) -> None:
        self._allowances: dict[Refusal, Allowance] = defaultdict(Allowance)
        self._waiting: deque[RefusedItem | TaskLoss] = deque(maxlen=MOST_WAITING)
        self._bell = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def letter(self, task: str, reason: Refusal, detail: str, payload: dict[str, Any]) -> RefusedItem | None:
        """Counted and logged; None if there were too many of this reason lately to keep another one."""
        kept = self._allowances[reason].take(time.monotonic())
        metrics.REFUSED.labels(reason=reason, kept="yes" if kept else "no").inc()
        if not kept:
            return None
        detail = storable(detail[:1_000])
        log.error("refused", reason=reason, task=task[:LONGEST_NAME], detail=detail, queue=payload.get("queue"))
        error = {"code": reason, "title": TITLES[reason], "detail": detail, "retryable": False}
        return RefusedItem(new_id(), storable(task[:LONGEST_NAME]), _storable(payload), error)

    def post(self, item: RefusedItem | TaskLoss) -> None:
        """Record it soon."""
        self._waiting.append(item)
        self.ring()

    def ring(self) -> None:
        """Look now."""
        self._bell.set()

    def start(self, app: Any) -> None:
        """The thread, in the main process of a worker."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, args=(app,), name="letterbox", daemon=True)
        self._thread.start()
        self.ring()

    def stop(self) -> None:
        """After a last look, for which it waits a few seconds."""
        self._stopping = True
        self.ring()
        if self._thread is not None:
            self._thread.join(TRY_AGAIN_AFTER)

    def _run(self, app: Any) -> None:
        engine = unpooled_engine(DatabaseSettings.load().url, STATEMENT_TIMEOUT)
        pause = LOOK_EVERY
        while not self._stopping:
            self._bell.wait(pause)
            self._bell.clear()
            pause = LOOK_EVERY if self._look(app, engine) else TRY_AGAIN_AFTER

    def _look(self, app: Any, engine: Engine) -> bool:
        """Whether all was recorded."""
        try:
            while self._waiting:
                _record(engine, self._waiting[0])
                self._waiting.popleft()
            _empty_list(app, engine)
        except SQLAlchemyError as error:
            log.warning("refused items wait for the database", error=type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - a thread's boundary: whatever the broker's client raises
            log.warning("cannot look at the poison list", error=type(error).__name__, detail=str(error)[:200])
            return False
        return True


letterbox: Final = Letterbox()
"""Of this process. Where no worker runs, nothing is recorded: the list in Redis waits for one that does."""


class RecordingStep(bootsteps.StartStopStep):
    """Runs the letterbox with the worker."""

    # Its first children are forked without the thread.
    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        letterbox.start(worker.app)

    def stop(self, worker: Any) -> None:
        letterbox.stop()


def to_json(item: RefusedItem) -> str:
    """As POISON holds it."""
    return json.dumps({"id": str(item.id), "task": item.task, "payload": item.payload, "error": item.error})


def _from_json(text: bytes) -> RefusedItem | None:
    try:
        found = json.loads(text)
        return RefusedItem(uuid.UUID(found["id"]), str(found["task"]), dict(found["payload"]), dict(found["error"]))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _record(engine: Engine, item: RefusedItem | TaskLoss) -> None:
    with Session(engine) as session, session.begin():
        if isinstance(item, TaskLoss):
            record_loss(session, item)
        else:
            keep_refused(session, item)


def _empty_list(app: Any, engine: Engine) -> None:
    """Each item is removed after it was recorded: a crash in between records it again under the same id."""
    with app.connection_for_write() as connection:
        if connection.transport.driver_type != "redis":
            return
        client = connection.default_channel.client
        while (text := client.lindex(POISON, -1)) is not None:
            item = _from_json(text)
            if item is None:
                log.error("foreign item on the poison list removed", size=len(text))
            else:
                _record(engine, item)
            client.lrem(POISON, -1, text)


def _storable(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: storable(value) if isinstance(value, str) else value for key, value in payload.items()}
