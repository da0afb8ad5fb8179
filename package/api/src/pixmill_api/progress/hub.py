"""The one place of a process that hears what changes, for all who watch.

NOTIFY says at once which job has ended, Redis how far the others are, and each second all that is watched is looked
at in its rows: that is the guarantee, whatever becomes of the other two.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pixmill_api import metrics
from pixmill_api.errors import StreamsUnavailable
from pixmill_api.progress.event import Event
from pixmill_api.progress.listening import Ending, Listener
from pixmill_api.progress.passes import Passes
from pixmill_api.progress.percentages import hear_percentages
from pixmill_api.progress.reading import Reader
from pixmill_api.progress.topics import Viewer
from pixmill_shared.database.engine import DatabaseUnavailable
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

POLL: Final = 1.0
"""Seconds between two looks at all that is watched."""

LINGER: Final = 30.0
"""Seconds without a viewer after which the sources are let go of."""

_REST: Final = 0.02
"""Seconds between two readings while there is always something to read; the first is at once."""

_PARTING: Final = 2.0
"""Seconds that viewers have to take their leave; whoever does not read has not got it."""


class Hub:
    """Belongs to one event loop. Its sources are opened for the first viewer and closed a while after the last.

    Everything but ``viewer()`` and the boards that it gives away is called in that loop only.
    """

    def __init__(self, reader: Reader, database_url: str, redis_url: str, most_viewers: int) -> None:
        self._database_url = database_url
        self._redis_url = redis_url
        self._most_viewers = most_viewers
        self._viewers: set[Viewer] = set()
        self._empty = asyncio.Event()
        self._call = asyncio.Event()
        self._passes = Passes(reader, self._call.set)
        self._task: asyncio.Task[None] | None = None
        self._looked = float("-inf")
        self.jobs, self.batches, self.feeds = self._passes.jobs, self._passes.batches, self._passes.feeds
        self.closing = False

    @contextmanager
    def viewer(self) -> Iterator[Viewer]:
        """Somebody who watches; the sources are open meanwhile. Raises StreamsUnavailable."""
        if self.closing or len(self._viewers) >= self._most_viewers:
            raise StreamsUnavailable
        viewer = Viewer()
        self._viewers.add(viewer)
        metrics.VIEWERS.set(len(self._viewers))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            metrics.VIEWERS.set(len(self._viewers))
            if self.closing and not self._viewers:
                self._empty.set()

    async def settle_feed(self) -> None:
        """What is added to a feed from now on is new. Raises the database's errors."""
        self._look_now()
        await self.feeds.settle()

    async def replay(self, project: str, after: uuid.UUID, most: int) -> tuple[list[Event], bool]:
        """The last ``most`` events of the project after an id; and whether there may have been more."""
        return await self._passes.replay(project, after, most)

    async def close(self) -> None:
        """Everybody who watches is told, and given a moment to leave; who comes later is too late."""
        self.closing = True
        for viewer in self._viewers:
            viewer.wake()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._passes.close()
        if self._viewers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PARTING):
                    await self._empty.wait()

    async def _run(self) -> None:
        # Once more for who came while the sources were let go of: for him no other task was begun.
        # A cancellation that comes as they are let go of is lost in there.
        while self._viewers and not self.closing:
            await self._run_with_sources()

    async def _run_with_sources(self) -> None:
        loop = asyncio.get_running_loop()
        listener = Listener(self._database_url, loop, self._heard)
        listener.start()
        percentages = loop.create_task(hear_percentages(self._redis_url, self._passes.percent))
        try:
            await self._read_on(loop)
        finally:
            listener.stop()
            percentages.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await percentages

    async def _read_on(self, loop: asyncio.AbstractEventLoop) -> None:
        used = loop.time()
        while self._viewers or loop.time() - used < LINGER:
            if self._viewers:
                used = loop.time()
            look = loop.time() - self._looked >= POLL
            if look:
                self._looked = loop.time()
            try:
                if await self._passes.run(look=look):
                    await asyncio.sleep(_REST)
            except DatabaseUnavailable as error:
                log.warning("cannot read what is watched, trying again", error=type(error).__name__)
                await asyncio.sleep(POLL)
            except Exception:
                # The task's boundary: without it nobody would hear of anything any more.
                log.exception("unexpected error while reading what is watched")
                await asyncio.sleep(POLL)
            await self._called(self._looked + POLL - loop.time())

    async def _called(self, within: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(within, 0)):
                await self._call.wait()
        self._call.clear()

    def _heard(self, endings: list[Ending] | None) -> None:
        if endings is None:
            self._look_now()
        else:
            self._passes.ended(endings)

    def _look_now(self) -> None:
        self._looked = float("-inf")
        self._call.set()
