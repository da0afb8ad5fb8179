"""What one viewer is sent: worked out from the state of its topic and from what it was sent before."""

from typing import Any, Final, Protocol

from pixmill_api.progress.event import Event, StreamEvent, as_json
from pixmill_api.progress.feed import Feed
from pixmill_api.progress.states import BatchState, JobLook, JobState
from pixmill_api.progress.topics import Topic
from pixmill_shared.contract.events import EventType

BATCH_EVERY: Final = 0.5
"""Seconds between two counts of a batch that is under way."""

_LONGEST_ID: Final = 18


class Stream(Protocol):
    """``over``: everything was sent that there will ever be. ``due_in``: seconds until there is more to be sent."""

    over: bool

    def news(self, now: float) -> list[Event]: ...

    def due_in(self, now: float) -> float: ...


def sequence_of(last_event_id: str | None, newest: int) -> int | None:
    """Where a viewer was who sends this id; None for one that is new, or whose id is none of ours."""
    if last_event_id is None or not (last_event_id.isascii() and last_event_id.isdigit()):
        return None
    if len(last_event_id) > _LONGEST_ID or int(last_event_id) > newest:
        return None
    return int(last_event_id)


class JobStream:
    """Ids count the job's events: first its outputs, in order, then its end; of a job that generates each item and each
    chunk as they come. A snapshot has that of the event before it, so that whoever breaks off behind a snapshot misses
    nothing.
    """

    def __init__(self, topic: Topic[JobState], state: JobState, last_event_id: str | None) -> None:
        self._topic = topic
        self._at = sequence_of(last_event_id, state.look.sequence)
        self._shown: tuple[str, str | None, int] | None = None
        self.over = self._at is not None and state.ended and self._at == state.look.sequence

    def due_in(self, now: float) -> float:
        return float("inf")

    def news(self, now: float) -> list[Event]:
        state = self._topic.state
        if self._topic.gone or state is None:
            self.over = True
            return []
        events = []
        if self._at is None:
            self._at = state.sequence - (1 if state.ended else 0)
            self._shown = _seen(state.look)
            events.append(Event(str(self._at), StreamEvent.SNAPSHOT, state.document))
        told = self._told(state, self._at)
        if state.ended:
            events += told or self._outputs(state, self._at)
            events += self._end(state, self._at)
            self.over = True
            return events
        self._at = max(self._at, state.last_told)
        if self._shown != (seen := _seen(state.look)):
            self._shown = seen
            told.append(Event(None, StreamEvent.JOB_PROGRESS, as_json(self._progress(state.look))))
        return events + told

    def _progress(self, look: JobLook) -> dict[str, Any]:
        return {"job_id": self._topic.id, "status": look.status, "stage": look.stage, "progress": look.progress}

    def _told(self, state: JobState, seen: int) -> list[Event]:
        return [Event(str(each.sequence), each.type, each.data) for each in state.told if each.sequence > seen]

    def _outputs(self, state: JobState, seen: int) -> list[Event]:
        first = state.look.sequence - len(state.outputs)
        return [
            Event(str(number), StreamEvent.JOB_OUTPUT, f'{{"job_id":"{self._topic.id}","output":{output}}}')
            for number, output in enumerate(state.outputs, first)
            if number > seen
        ]

    def _end(self, state: JobState, seen: int) -> list[Event]:
        last = state.look.sequence
        return [Event(str(last), f"job.{state.look.status}", state.document)] if last > seen else []


def _seen(look: JobLook) -> tuple[str, str | None, int]:
    """What a percentage tells: events have their own ids."""
    return look.status, look.stage, look.progress


class BatchStream:
    """Ids count the jobs that have ended, and the end of the batch as one more."""

    def __init__(self, topic: Topic[BatchState], state: BatchState, last_event_id: str | None) -> None:
        self._topic = topic
        self._at = sequence_of(last_event_id, _position(state))
        self._next = float("-inf")
        self.over = self._at is not None and state.ended and self._at == _position(state)

    def due_in(self, now: float) -> float:
        state = self._topic.state
        behind = state is not None and self._at is not None and _position(state) > self._at
        return max(self._next - now, 0) if behind else float("inf")

    def news(self, now: float) -> list[Event]:
        state = self._topic.state
        if self._topic.gone or state is None:
            self.over = True
            return []
        events = []
        if self._at is None:
            # Of one that has ended, as before its end.
            self._at = state.done
            self._next = now + BATCH_EVERY
            events.append(Event(str(self._at), StreamEvent.SNAPSHOT, state.document))
        if state.ended:
            self._at, self.over = _position(state), True
            events.append(Event(str(self._at), EventType.BATCH_COMPLETED, state.document))
        elif state.done > self._at and now >= self._next:
            self._at, self._next = state.done, now + BATCH_EVERY
            events.append(Event(str(self._at), StreamEvent.BATCH_PROGRESS, state.counts))
        return events


def _position(state: BatchState) -> int:
    return state.done + (1 if state.ended else 0)


class ProjectStream:
    """Ids are those of the events. ``replayed`` come first; of what comes from the feed, those are left out."""

    def __init__(self, feed: Feed, count: int, replayed: list[Event], *, gap: bool) -> None:
        self._feed = feed
        self._count = count
        self._first = [Event(None, StreamEvent.GAP, "{}"), *replayed] if gap else replayed
        self._replayed = {event.id for event in replayed}
        self.over = False

    def due_in(self, now: float) -> float:
        return float("inf")

    def news(self, now: float) -> list[Event]:
        first, self._first = self._first, []
        came = self._feed.after(self._count)
        self._count = self._feed.count
        if came is None:
            # Its own Last-Event-ID has what it missed.
            self.over = True
            return [*first, Event(None, StreamEvent.RECONNECT, "{}")]
        return first + [event for event in came if event.id not in self._replayed]
