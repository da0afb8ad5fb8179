"""LISTEN in a thread: which jobs ended, told to the event loop."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

_WAIT: Final = 5.0
"""Seconds until a connection is looked at that says nothing."""

_REST: Final = 0.005
"""Seconds after news that concern nobody here: submissions send as many as they are."""


@dataclass(frozen=True)
class Ending:
    """A job that ended, its batch and its project."""

    job: str
    batch: str | None
    project: str


class Listener:
    """``hear`` is called in ``loop`` with what ended; with None where something may have been missed."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, hear: Callable[[list[Ending] | None], None]) -> None:
        self._loop = loop
        self._hear = hear
        self._missed = False
        self._endings: list[Ending] = []
        self._wakeups = Wakeups(url, self._note)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="listen", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; the thread closes its connection as it ends."""
        self._stopped = True
        self._wakeups.interrupt()

    def _note(self, payload: str | None) -> None:
        if payload is None:
            self._missed = True
        elif payload:
            ending = _ending(payload)
            if ending is not None:
                self._endings.append(ending)

    def _run(self) -> None:
        try:
            while not self._stopped:
                if self._wakeups.wait(_WAIT):
                    self._tell()
        finally:
            self._wakeups.close()

    def _tell(self) -> None:
        endings, self._endings = self._endings, []
        if self._missed:
            self._missed = False
            self._call(None)
        if endings:
            self._call(endings)
        else:
            self._wakeups.pause(_REST)

    def _call(self, endings: list[Ending] | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hear, endings)


def _ending(payload: str) -> Ending | None:
    """None for a payload of another make."""
    try:
        said: dict[str, Any] = json.loads(payload)
        return Ending(said["job"], said.get("batch"), said["project"])
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("a notification that says nothing known", payload=payload[:200])
        return None
