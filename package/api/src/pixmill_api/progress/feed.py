"""The events of a project on their way to those who watch all of it: a ring that forgets the oldest."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from pixmill_api.progress.event import Event
from pixmill_api.progress.topics import Viewer

KEPT: Final = 1_000
"""Events that a slow viewer may be behind."""

_REMEMBERED: Final = 50_000
"""Ids of events that were shown, which are not shown again."""


class Feed:
    """Numbers what comes, from 0; ``after(n)`` is what came since."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self._ring: deque[Event] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, event: Event) -> None:
        self._ring.append(event)
        self.count += 1
        for viewer in self.viewers:
            viewer.wake()

    def after(self, count: int) -> list[Event] | None:
        """None: some of them are forgotten."""
        behind = self.count - count
        if behind > len(self._ring):
            return None
        return list(self._ring)[len(self._ring) - behind :] if behind else []


class Feeds:
    """By project, while somebody watches it. What happened before the first came is not news to anybody."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._seen: dict[str, None] = {}
        self._asked: list[asyncio.Future[None]] = []
        self.begun = False
        """Is what is added new?"""

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def __contains__(self, project: str) -> bool:
        return project in self._feeds

    @contextmanager
    def watched(self, project: str, viewer: Viewer) -> Iterator[Feed]:
        """The project's feed, which lives as long as anybody watches it."""
        feed = self._feeds.setdefault(project, Feed())
        feed.viewers.add(viewer)
        try:
            yield feed
        finally:
            feed.viewers.discard(viewer)
            if not feed.viewers:
                self._feeds.pop(project, None)
            if not self._feeds:
                self.begun = False

    async def settle(self) -> None:
        """Wait until what is old has been told from what is new. Raises the database's errors."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        await asked

    def take_asked(self) -> list[asyncio.Future[None]]:
        """Who waits for the next reading of all that is recent."""
        asked, self._asked = self._asked, []
        return asked

    def add(self, events: Iterable[tuple[str, Event]]) -> None:
        """Projects and events, in order; those that were added before are passed by."""
        for project, event in events:
            if event.id is None or event.id in self._seen:
                continue
            self._seen[event.id] = None
            feed = self._feeds.get(project)
            if feed is not None and self.begun:
                feed.add(event)
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def begin(self) -> None:
        """All that is recent has been added: what is added from now on is new."""
        self.begun = bool(self._feeds)
