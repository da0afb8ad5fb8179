"""Reading what is due, pass by pass: one transaction in a thread, then everybody who waits for it is woken."""

import asyncio
import datetime
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pixmill_api.errors import StreamsUnavailable
from pixmill_api.progress.event import Event, as_json
from pixmill_api.progress.feed import Feeds
from pixmill_api.progress.listening import Ending
from pixmill_api.progress.reading import Found, Reader, Wanted, event_document
from pixmill_api.progress.states import BatchState, JobLook, JobState, Told
from pixmill_api.progress.topics import Asked, Board
from pixmill_api.repositories.watching import EventRow
from pixmill_shared.domain.ids import least_id

LOOK_BACK: Final = 15.0
"""Seconds by which an event may be committed late, or a worker's clock be wrong, and it is still found."""

_TOGETHER: Final = 100
"""Jobs, and batches, that are read at once."""


class Passes:
    """What is watched, and the thread that reads it. ``call`` is called when something is due."""

    def __init__(self, reader: Reader, call: Callable[[], None]) -> None:
        self._reader = reader
        self._call = call
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hub")
        self._events_due: dict[str, None] = {}
        self._looked_at: datetime.datetime | None = None
        """When the last look at all events began that found them."""
        self.jobs: Board[JobState] = Board(call)
        self.batches: Board[BatchState] = Board(call)
        self.feeds = Feeds()

    def ended(self, endings: Iterable[Ending]) -> None:
        """These jobs have ended: whoever watches them, their batch or their project hears of it soon."""
        for ending in endings:
            self.jobs.note((ending.job,))
            if ending.batch:
                self.batches.note((ending.batch,))
            if ending.project in self.feeds:
                self._events_due[ending.job] = None
                self._call()

    def percent(self, job: str, stage: str, progress: int) -> None:
        """A worker says how far it is."""
        topic = self.jobs.topics.get(job)
        if topic is not None and topic.state is not None:
            topic.show(topic.state.at(stage, progress))

    async def run(self, *, look: bool) -> bool:
        """Read what is due, and ``look`` at everything else. Was there anything? Raises the database's errors: what
        was due is due again then, and who asked for it gets the error.
        """
        if look:
            self.batches.note([id for id, topic in self.batches.topics.items() if _unended(topic.state)])
        jobs, batches = self.jobs.take(_TOGETHER), self.batches.take(_TOGETHER)
        asked = self.feeds.take_asked() if look else []
        events, self._events_due = list(self._events_due), {}
        now = datetime.datetime.now(datetime.UTC)
        wanted = Wanted(
            jobs=list(jobs),
            looks=[id for id, topic in self.jobs.topics.items() if _unended(topic.state)] if look else (),
            told=self._told() if look else (),
            batches=list(batches),
            events_of=events,
            events_since=self._events_since(now) if look and self.feeds else None,
        )
        if wanted == Wanted():
            return False
        try:
            found = await self._in_thread(self._reader.read, wanted)
        except BaseException as error:
            told = error if isinstance(error, Exception) else StreamsUnavailable()
            self.jobs.fail(jobs, told)
            self.batches.fail(batches, told)
            Asked(asked).fail(told)
            self._events_due.update(dict.fromkeys(events))
            raise
        self._apply(wanted, found)
        if wanted.events_since is not None:
            self._looked_at = now
        self.jobs.answer(jobs, found.jobs)
        self.batches.answer(batches, found.batches)
        Asked(asked).answer()
        return True

    async def replay(self, project: str, after: uuid.UUID, most: int) -> tuple[list[Event], bool]:
        """As ``Reader.replay``, as events."""
        rows, cut = await self._in_thread(self._reader.replay, project, after, most)
        return [_event(row) for row in rows], cut

    def close(self) -> None:
        """What is being read is not waited for, and who waits for it is told."""
        for board in (self.jobs, self.batches):
            board.give_up(StreamsUnavailable())
        Asked(self.feeds.take_asked()).fail(StreamsUnavailable())
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, call: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _apply(self, wanted: Wanted, found: Found) -> None:
        for id in wanted.looks:
            self._looked(id, found.looks.get(id), found.told.get(id, ()))
        self.feeds.add((row.project, _event(row)) for row in found.events)
        if wanted.events_since is not None:
            self.feeds.begin()

    def _events_since(self, now: datetime.datetime) -> uuid.UUID:
        """Nobody told of what was committed while nothing could be read: a look goes back to the one before."""
        last = self._looked_at if self.feeds.begun else None
        return least_id(min(now, last or now) - datetime.timedelta(seconds=LOOK_BACK))

    def _told(self) -> list[tuple[str, int]]:
        """Of jobs that generate, the last events that are known."""
        found = [(id, topic.state) for id, topic in self.jobs.topics.items() if _unended(topic.state)]
        return [(id, state.last_told) for id, state in found if state is not None and state.generates]

    def _looked(self, id: str, look: JobLook | None, told: Sequence[Told]) -> None:
        topic = self.jobs.topics.get(id)
        if topic is None or topic.state is None:
            return
        if look is None:
            topic.vanish()
        elif look.ended:
            self.jobs.note((id,))
        else:
            topic.show(topic.state.seen(look).telling(told))


def _unended(state: JobState | BatchState | None) -> bool:
    """One that was not read yet is due anyway."""
    return state is not None and not state.ended


def _event(row: EventRow) -> Event:
    return Event(row.id, row.type, as_json(event_document(row)))
