"""What a viewer is told, as a line of an event stream or as a frame of a WebSocket."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class StreamEvent(StrEnum):
    """Names that streams use besides those of ``EventType``."""

    SNAPSHOT = "snapshot"
    JOB_PROGRESS = "job.progress"
    JOB_OUTPUT = "job.output"
    BATCH_PROGRESS = "batch.progress"
    #: What was missed is more than is kept: look at the list.
    GAP = "gap"
    #: The process ends, or the stream has lasted long enough: connect anew.
    RECONNECT = "reconnect"


@dataclass(frozen=True, slots=True)
class Event:
    """``data`` is JSON in one line. Without an ``id`` it is not remembered: a viewer that missed it missed nothing."""

    id: str | None
    name: str
    data: str

    def sse(self) -> bytes:
        """As in the HTML standard."""
        head = f"id: {self.id}\n" if self.id is not None else ""
        return f"{head}event: {self.name}\ndata: {self.data}\n\n".encode()

    def frame(self) -> str:
        """A JSON object with the members ``id``, ``event`` and ``data``."""
        return f'{{"id":{json.dumps(self.id)},"event":"{self.name}","data":{self.data}}}'


def as_json(document: Any) -> str:
    """In one line, as every ``data`` has to be."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


RECONNECT = Event(None, StreamEvent.RECONNECT, "{}")
