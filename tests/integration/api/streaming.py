"""Clients of event streams, and jobs that end without a worker."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy.orm import Session
from tests.integration.api.running import PLAIN, Api, wait_until

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs

JOB: dict[str, Any] = {
    "source": {"url": "https://example.com/a.jpg"},
    "recipe": {"outputs": [{"name": "web"}, {"name": "thumb"}]},
    "metadata": {"order": "A-17"},
}


def submitted(api: Api, **changes: Any) -> str:
    answer = api.client.post("/api/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


@contextmanager
def session_of(api: Api) -> Iterator[Session]:
    database = Database(api.database_url)
    try:
        with database.session_scope() as session:
            yield session
    finally:
        database.dispose()


def claimed(session: Session, job_id: str) -> jobs.ClaimedJob:
    """As a worker does it, at the job's own stage."""
    for stage in Stage:
        found = jobs.claim(session, uuid.UUID(job_id), stage, "test", 60)
        if found is not None:
            return found
    raise AssertionError(f"job {job_id} is not to be had")


def made(name: str, position: int) -> dict[str, Any]:
    """A row of a rendition that was made."""
    return {
        "id": str(new_id()),
        "name": name,
        "position": position,
        "cached": False,
        "key": uuid.uuid4().hex,
        "storage_key": f"renditions/{uuid.uuid4().hex}.webp",
        "recipe_hash": uuid.uuid4().hex,
        "engine": "test",
        "format": "webp",
        "media_type": "image/webp",
        "width": 8,
        "height": 6,
        "bytes": 100,
        "sha256": "0" * 64,
        "replaces": None,
        "thumbhash": "",
        "dominant_color": None,
        "frames": 1,
        "copied_to": None,
    }


def complete(api: Api, job_id: str, *names: str) -> float:
    """End the job with these outputs; when that was committed, by the monotonic clock."""
    with session_of(api) as session:
        claim = claimed(session, job_id)
        rows = [made(name, position) for position, name in enumerate(names or ("web", "thumb"))]
        assert jobs.complete(session, claim, found={"width": 80}, sha256="1" * 64, made=rows) is not None
    return time.monotonic()


def fail(api: Api, job_id: str) -> None:
    error = {"code": "undecodable", "title": "t", "detail": "d", "retryable": False}
    with session_of(api) as session:
        claim = claimed(session, job_id)
        assert jobs.fail(session, claim.id, claim.fence, error)


@dataclass
class Told:
    """One event; ``id`` None if it had none."""

    event: str
    data: dict[str, Any]
    id: str | None = None


@dataclass
class Stream:
    """Reads in a thread until the server ends the stream. ``events`` and ``comments`` fill meanwhile."""

    response: httpx.Response
    events: list[Told] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    retry: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    at: float = 0.0
    error: Exception | None = None

    def read(self) -> None:
        """By the rules of the HTML standard, as far as pixmill uses them."""
        event, data, id = "message", "", None
        try:
            for line in self.response.iter_lines():
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line == "" and data:
                    self.at = time.monotonic()
                    self.events.append(Told(event, json.loads(data), id))
                if line == "":
                    event, data, id = "message", "", None
                elif name == "":
                    self.comments.append(value)
                elif name == "event":
                    event = value
                elif name == "data":
                    data += value
                elif name == "id":
                    id = value
                elif name == "retry":
                    self.retry = int(value)
        except httpx.TransportError as error:
            self.error = error
        finally:
            self.ended.set()

    def names(self) -> list[str]:
        return [told.event for told in self.events]

    def wait_for(self, name: str, within: float = 60) -> Told:
        """The first event of this name."""
        until = time.monotonic() + within
        while not (found := [told for told in self.events if told.event == name]):
            assert time.monotonic() < until, f"no {name} within {within} s: {self.names()}"
            assert not self.ended.is_set() or name in self.names(), f"over without {name}: {self.names()}"
            time.sleep(0.01)
        return found[0]

    def wait_for_end(self, within: float = 60) -> list[Told]:
        assert self.ended.wait(within), f"not over within {within} s: {self.names()}"
        assert self.error is None, self.error
        return self.events


@contextmanager
def watching(api: Api, path: str, **headers: str) -> Iterator[Stream]:
    """``path`` below the API's base, or a whole URL."""
    url = path if path.startswith("http") else f"/api/v1/{path}"
    with (
        httpx.Client(base_url=api.url, headers=headers, timeout=httpx.Timeout(90), verify=PLAIN) as client,
        client.stream("GET", url) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = Stream(response)
        thread = threading.Thread(target=stream.read)
        thread.start()
        try:
            yield stream
        finally:
            if not stream.ended.is_set():
                _hang_up(response)
            thread.join(60)


def _hang_up(response: httpx.Response) -> None:
    """What a browser does when its tab is closed."""
    import socket

    connection = response.extensions["network_stream"].get_extra_info("socket")
    with suppress(OSError):  # the server was quicker
        connection.shutdown(socket.SHUT_RDWR)


def viewers(api: Api) -> int:
    """How many watch, by the process' own metrics."""
    text = api.client.get("/metrics").text
    line = next(line for line in text.splitlines() if line.startswith("pixmill_stream_viewers "))
    return int(float(line.split()[1]))


def nobody_watches(api: Api) -> None:
    """Returns when all are forgotten: of who has its last event the process knows for a moment still."""
    wait_until(lambda: viewers(api) == 0, "all are forgotten", 60)
