"""Fire and forget: what is published here may be lost, and whoever publishes never waits for Redis, nor hears of it."""

import threading
import time
from collections.abc import Collection
from typing import Any, Final

from pixmill_shared.contract.progress import PROGRESS_CHANNEL
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

TIMEOUT: Final = 1.0
"""Seconds that the thread which sends waits for Redis."""

SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds that nothing is sent after a failure; doubled with each that follows."""

MOST_WAITING: Final = 1_000
"""Messages that may wait for the thread; what comes then is dropped."""


class Publisher:
    """A thread sends, started with the first message: a connection that hangs holds up nothing but percentages.

    Not to be shared with a forked child. Any number of threads may publish.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[str, str] = {}
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._closed_until = 0.0
        self._thread: threading.Thread | None = None

    def publish(self, key: str, message: str) -> None:
        """Send ``message`` in place of what still waits under ``key``; drop it while Redis is away."""
        if time.monotonic() < self._closed_until:
            return
        with self._lock:
            if len(self._waiting) < MOST_WAITING or key in self._waiting:
                self._waiting[key] = message
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
                self._thread.start()
        self._some.set()

    def _run(self) -> None:
        # Imported here: 20 ms of a process that may never have anything to tell.
        from redis import RedisError

        pause, connection = SHORTEST_PAUSE, None
        while True:
            self._some.wait()
            self._some.clear()
            with self._lock:
                messages, self._waiting = self._waiting, {}
            try:
                connection = connection or _connection(self._url)
                _send(connection, messages.values())
                pause = SHORTEST_PAUSE
            except (RedisError, OSError, ValueError) as error:
                self._closed_until = time.monotonic() + pause
                log.info("progress is not published", error=type(error).__name__, pause=pause)
                pause = min(pause * 2, LONGEST_PAUSE)


def _connection(url: str) -> Any:
    """A bare one: a client takes thrice the CPU for a message. Raises ValueError for a URL that is none."""
    from redis import ConnectionPool

    pool = ConnectionPool.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return pool.make_connection()


def _send(connection: Any, messages: Collection[str]) -> None:
    """Connects if need be. Raises RedisError or OSError."""
    from redis import ConnectionError as Broken

    was_open = connection.is_connected
    try:
        _publish(connection, messages)
    except Broken:
        connection.disconnect()
        if not was_open:
            raise
        # Redis closed it while nothing was sent, which is no failure.
        _publish(connection, messages)


def _publish(connection: Any, messages: Collection[str]) -> None:
    for message in messages:
        connection.send_command("PUBLISH", PROGRESS_CHANNEL, message)
    for _ in messages:
        connection.read_response()
