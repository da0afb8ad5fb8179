"""Where due work goes: to the broker, for workers; or, in a process without one, to a pool of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kombu.exceptions import KombuError
from sqlalchemy.orm import Session

from pixmill_shared.contract.requests import REQUEST_HEADER
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.dispatcher.kinds import Kind
from pixmill_shared.repositories.work import Due
from pixmill_shared.settings.work import WorkSettings


@dataclass(frozen=True)
class Message:
    """What goes out for a row."""

    queue: str
    task: TaskName
    payload: dict[str, Any]
    #: The row's, where that is the task's too.
    task_id: str | None = None


class Outlet(Protocol):
    """Takes as many rows as it has room for, and then their messages. Used by one thread."""

    #: What ``publish`` raises while there is nowhere to publish to.
    errors: tuple[type[BaseException], ...]

    def take(self, session: Session, kind: Kind) -> list[Due]:
        """Mark and return the due rows that there is room for."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Before the rows' transaction commits."""

    def disconnect(self) -> None:
        """Something failed: what was open is not used again."""


class BrokerOutlet:
    """Publishes through one broker connection of ``app``, kept until ``disconnect()``; ``settings`` say
    how much a queue may hold.

    Not one of Celery's pools: a pool that lost its connections blocks whoever asks it for one.
    """

    def __init__(self, app: Any, settings: WorkSettings) -> None:
        self._app = app
        self._settings = settings
        self._producer: Any = None
        transport = app.connection_for_write()
        self.errors = (KombuError, OSError, *transport.connection_errors, *transport.channel_errors)

    def take(self, session: Session, kind: Kind) -> list[Due]:
        return kind.work.take_due(session, kind.queues, self._settings.window, kind.most(self._settings))

    def publish(self, messages: Sequence[Message]) -> None:
        if self._producer is None:
            self._producer = self._app.amqp.Producer(self._app.connection_for_write(), auto_declare=False)
        with self._producer.batch():
            for message in messages:
                self._app.send_task(
                    message.task.value,
                    kwargs=message.payload,
                    task_id=message.task_id,
                    headers={REQUEST_HEADER: True} if message.task_id else None,
                    queue=message.queue,
                    producer=self._producer,
                    ignore_result=True,
                    retry=False,
                )

    def disconnect(self) -> None:
        """What failed once is not tried again: the next pass opens a new connection."""
        if self._producer is not None:
            self._producer.connection.collect()
            self._producer = None
