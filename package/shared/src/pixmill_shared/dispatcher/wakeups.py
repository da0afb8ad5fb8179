"""LISTEN: commits that make work due wake the dispatcher; a poll is the guarantee."""

import os
import select
from collections.abc import Callable
from typing import Any, Final

from psycopg2 import Error as DriverError
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from pixmill_shared.database.engine import unpooled_engine
from pixmill_shared.repositories.work import WAKE_CHANNEL

_PIPE_BYTES: Final = 64


def unheard(payload: str | None) -> None:
    """Of a listener to whom it is all the same what it is woken by."""


class Wakeups:
    """A connection of its own: LISTEN does not survive transaction pooling.

    ``hear`` is told the payload of each NOTIFY, within ``wait()``, and None when a LISTEN has just begun.
    """

    def __init__(self, url: str, hear: Callable[[str | None], None] = unheard) -> None:
        self._hear = hear
        self._engine = unpooled_engine(url)
        self._connection: PoolProxiedConnection | None = None
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def interrupt(self) -> None:
        """End a ``wait()`` now; safe in a signal handler."""
        try:
            os.write(self._write_end, b"x")
        except BlockingIOError:
            return  # full of wake-ups already

    def wait(self, timeout: float) -> bool:
        """Until a NOTIFY or ``interrupt()``, at most ``timeout`` seconds. Whether there may be work.

        A LISTEN that has just begun counts as a NOTIFY: what was committed before it was not heard.
        Without a database it just waits; the next pass will say what is wrong.
        """
        known = self._connection
        driver = self._listening()
        if driver is None:
            self.pause(timeout)
            return False
        if self._connection is not known:
            self._hear(None)
            return True
        ready, _, _ = select.select([self._read_end, driver], [], [], timeout)
        if self._read_end in ready:
            os.read(self._read_end, _PIPE_BYTES)
        return driver in ready and self._drain(driver)

    def pause(self, seconds: float) -> None:
        """Until ``interrupt()``, at most ``seconds``: a NOTIFY does not cut a backoff short."""
        ready, _, _ = select.select([self._read_end], [], [], seconds)
        if ready:
            os.read(self._read_end, _PIPE_BYTES)

    def rest(self) -> None:
        """Hear nothing until the next ``wait()``: what came until then would pile up unread."""
        self._drop()

    def close(self) -> None:
        self._drop()
        os.close(self._read_end)
        os.close(self._write_end)

    def _listening(self) -> Any:
        if self._connection is None:
            try:
                self._connection = self._engine.raw_connection()
                driver: Any = self._connection.driver_connection
                driver.set_session(autocommit=True)
                with driver.cursor() as cursor:
                    cursor.execute(f"LISTEN {WAKE_CHANNEL}")
            except (DBAPIError, DriverError):
                self._drop()
                return None
        return self._connection.driver_connection

    def _drain(self, driver: Any) -> bool:
        try:
            driver.poll()
        except DriverError:
            self._drop()
            return False
        heard = [notification.payload for notification in driver.notifies]
        driver.notifies.clear()
        for payload in heard:
            self._hear(payload)
        return bool(heard)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None
