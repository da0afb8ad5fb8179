"""Where a task runs: in a thread of this process, or in a child that it may take with it."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from pixmill_api.inline.lanes import End
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.inline import run_task

log = get_logger(__name__)

START_WITHIN: Final = 60.0
"""Seconds from the start of a child until it can work."""
AFTER_BAD_START: Final = 5.0
"""Seconds until a child is started again where one did not come up."""
END_WITHIN: Final = 2.0
_CHILD: Final = "pixmill_api.inline.child"


class InThread:
    """Calls the task: for work that waits for others, whose time-outs bound it."""

    def __init__(self, tasks: Mapping[str, Any]) -> None:
        self._tasks = tasks

    def run(self, message: Message) -> End:
        done = run_task(self._tasks[message.task.value], message.payload, message.task_id)
        return End.SUCCEEDED if done else End.FAILED

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """A thread cannot be ended, it goes with its process; what it writes when its claim is gone is fenced."""


class InChild:
    """Sends the task to a child process, which is started with the first one and replaced when it has died, was killed
    at the ``hard`` limit in seconds, or has asked for it. ``environment`` makes the child's.
    """

    def __init__(self, worker_name: str, hard: float, environment: Callable[[], dict[str, str]]) -> None:
        self._worker_name = worker_name
        self._hard = hard
        self._environment = environment
        self._child: _Child | None = None
        self._closed = threading.Event()

    def run(self, message: Message) -> End:
        child = self._started()
        if child is None:
            self._closed.wait(AFTER_BAD_START)
            return End.NOT_BEGUN
        order = {"task": message.task.value, "payload": message.payload, "task_id": message.task_id}
        try:
            answer = child.ask(order, self._hard)
        except TimeoutError:
            log.error("child killed at its time limit", task=message.task.value, child=child.pid)
            child.kill()
            self._end_child()
            return End.TIME_LIMIT
        if answer is None:
            log.error("child died", task=message.task.value, status=self._end_child())
            return End.DIED
        if answer["last"]:
            self._end_child()
        return End.SUCCEEDED if answer["done"] else End.FAILED

    def rest(self) -> None:
        self._end_child()

    def close(self) -> None:
        self._closed.set()
        if (child := self._child) is not None:
            child.kill()

    def _started(self) -> "_Child | None":
        """None: it did not come up, or none is wanted any more."""
        if self._child is None and not self._closed.is_set():
            try:
                self._child = _Child(self._environment())
                if self._closed.is_set():
                    self._child.kill()
                ready = self._child.ask({"worker_name": self._worker_name}, START_WITHIN)
            except OSError as error:  # a time-out is one, too
                log.error("child did not start", error=str(error))
                ready = None
            if ready is None:
                log.error("no child to work in", status=self._end_child())
        return self._child

    def _end_child(self) -> int | None:
        """Its exit status: minus the signal that it died of."""
        child, self._child = self._child, None
        return child.end() if child is not None else None


class _Child:
    """A process, and a channel of JSON lines to it. It ends when the channel does."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self.pid = self._process.pid

    def ask(self, order: dict[str, Any], within: float) -> dict[str, Any] | None:
        """The answer, None if the child is gone. Raises TimeoutError."""
        self._channel.settimeout(within)
        received = b""
        try:
            self._channel.sendall(json.dumps(order).encode() + b"\n")
            while not received.endswith(b"\n"):
                if not (more := self._channel.recv(65_536)):
                    return None
                received += more
        except TimeoutError:
            raise
        except OSError:
            return None
        answer: dict[str, Any] = json.loads(received)
        return answer

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Its exit status, as that of subprocess."""
        self._channel.close()
        try:
            return self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
