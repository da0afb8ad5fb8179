"""Who watches what. A topic has one state, the newest; a viewer has none, so a slow one is behind and no larger."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

S = TypeVar("S")


class Viewer:
    """One stream, or one answer that is held. It is woken when there may be news, and reads them from its topic."""

    __slots__ = ("_news",)

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def wait(self, seconds: float) -> bool:
        """Was it woken within ``seconds``?"""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Topic(Generic[S]):
    """One job or batch that is watched. ``state`` is None before it was read; ``gone``: there is no such row."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.state: S | None = None
        self.gone = False
        self.viewers: set[Viewer] = set()
        self.asked: list[asyncio.Future[None]] = []

    def show(self, state: S) -> None:
        """Viewers are woken by what is new only."""
        if state != self.state:
            self.state = state
            self._wake()

    def vanish(self) -> None:
        """The row was deleted, or there never was one."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        for viewer in self.viewers:
            viewer.wake()


class Asked:
    """Those who wait for a reading; some may have left."""

    def __init__(self, futures: Iterable[asyncio.Future[None]]) -> None:
        self._waiting = [future for future in futures if not future.done()]

    def answer(self) -> None:
        for future in self._waiting:
            future.set_result(None)

    def fail(self, error: Exception) -> None:
        for future in self._waiting:
            future.set_exception(error)


Taken = dict[str, list[asyncio.Future[None]]]
"""Ids that are being read, and who asked for each."""


class Board(Generic[S]):
    """Topics by id, while somebody watches them. ``call`` is called when one of them is due to be read."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.topics: dict[str, Topic[S]] = {}
        self._due: dict[str, None] = {}
        self._call = call

    @contextmanager
    def watched(self, id: str, viewer: Viewer) -> Iterator[Topic[S]]:
        """The topic, which lives as long as anybody watches it."""
        topic = self.topics.setdefault(id, Topic(id))
        topic.viewers.add(viewer)
        try:
            yield topic
        finally:
            topic.viewers.discard(viewer)
            if not topic.viewers:
                self.topics.pop(id, None)
                self._due.pop(id, None)

    async def read(self, topic: Topic[S]) -> S | None:
        """Its state, read after this call; None if it is gone. Raises the database's errors."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        topic.asked.append(asked)
        self.note((topic.id,))
        await asked
        return None if topic.gone else topic.state

    def note(self, ids: Collection[str]) -> None:
        """These changed; those that nobody watches are nobody's business."""
        due = [id for id in ids if id in self.topics]
        if due:
            self._due.update(dict.fromkeys(due))
            self._call()

    def take(self, most: int) -> Taken:
        """Those that are due, at most so many."""
        taken: Taken = {}
        for id in list(self._due)[:most]:
            del self._due[id]
            topic = self.topics[id]
            taken[id], topic.asked = topic.asked, []
        if self._due:
            self._call()
        return taken

    def answer(self, taken: Taken, found: Mapping[str, S]) -> None:
        """This is how they are; those that are not in ``found`` are gone."""
        for id, asked in taken.items():
            topic = self.topics.get(id)
            if topic is not None:
                if id in found:
                    topic.show(found[id])
                else:
                    topic.vanish()
            Asked(asked).answer()

    def fail(self, taken: Taken, error: Exception) -> None:
        """They could not be read: who asked is told, and they are due again for the others."""
        for asked in taken.values():
            Asked(asked).fail(error)
        self.note(taken.keys())

    def give_up(self, error: Exception) -> None:
        """Nothing will be read any more."""
        for topic in self.topics.values():
            Asked(topic.asked).fail(error)
            topic.asked = []
