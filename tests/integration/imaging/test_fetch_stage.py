"""The fetch stage of a job, from claim to recorded end: real database, real storage, real sockets, names of our own."""

import contextlib
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.integration.egress.clients import Names
from tests.integration.egress.servers import Conversation, Handler, Server

from pixmill_imaging.service.fetch import fetch
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job
from pixmill_shared.domain.jobs import CancelOutcome, Stage
from pixmill_shared.egress import EgressClient
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, open_store
from pixmill_shared.storage.signing import FileUrlSigner

_watchers: list[list[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
        for watcher in _watchers:
            watcher.append(str(arguments[1][0]))


sys.addaudithook(_audit)

PICTURE = b"not a picture, but the fetch does not look"


@dataclass
class Fetching:
    """A runtime with its storage, and a way to run the stage."""

    runtime: Runtime
    store: ObjectStore

    @property
    def database(self) -> Database:
        return self.runtime.database

    def submit(self, url: str, priority: int = 1) -> uuid.UUID:
        new = jobs.NewJob(
            project="default",
            stage=Stage.FETCH,
            queue=QueueName.FETCH,
            priority=priority,
            source={"url": url},
            recipe={"outputs": []},
        )
        with self.database.session_scope() as session:
            return jobs.insert(session, new)

    def run(self, url: str, resolver: Any = None, *, allow: str = "", priority: int = 1, timeout: float = 60) -> Job:
        settings = EgressSettings(allow=allow, fetch_timeout=timeout)
        egress = EgressClient(settings, resolver)
        job_id = self.submit(url, priority)
        run_stage(
            *(self.runtime, str(job_id), Stage.FETCH, TaskName.FETCH_SOURCE),
            lambda job, check: fetch(job, self.database, self.store, egress, settings, check=check),
        )
        with self.database.session_scope() as session:
            return session.get_one(Job, job_id)

    @property
    def stored(self) -> list[str]:
        return [info.key for info in self.store.list("sources/")]


@pytest.fixture
def fetching(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetching]:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    runtime = Runtime()
    with runtime.database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters CASCADE"))
    store = open_store(StorageSettings(url=tmp_path.as_uri()), FileUrlSigner(["k" * 32]), "http://127.0.0.1")
    yield Fetching(runtime, store)
    runtime.database.dispose()


@pytest.fixture
def connects() -> Iterator[list[str]]:
    """The address of every connect that this process tries, told by the interpreter itself."""
    seen: list[str] = []
    _watchers.append(seen)
    yield seen
    _watchers.remove(seen)


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], Server]]:
    servers: list[Server] = []

    def start(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def picture(conversation: Conversation) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PICTURE)}\r\nConnection: close\r\n\r\n"
    conversation.send(head.encode() + PICTURE)


def assert_forbidden(job: Job) -> None:
    assert job.error is not None
    assert (job.status, job.error["code"], job.attempts) == ("failed", "forbidden_address", 1)
    assert job.error["retryable"] is False


def test_name_of_a_private_address_is_forbidden(fetching: Fetching, connects: list[str]) -> None:
    names = Names(pictures_example=[["10.0.0.1"]])
    assert_forbidden(fetching.run("http://pictures.example/p.jpg", names))
    assert names.asked == ["pictures.example"]
    assert "10.0.0.1" not in connects
    assert fetching.stored == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost.example"])
def test_loopback_is_forbidden_and_nobody_connects(
    fetching: Fetching, serve: Callable[[Handler], Server], host: str
) -> None:
    server = serve(picture)
    names = Names(localhost_example=[["127.0.0.1"]])
    assert_forbidden(fetching.run(server.url(host=host), names))
    assert server.accepts == 0


def test_name_that_changes_its_answer_is_asked_once_and_never_connected_to_the_second(
    fetching: Fetching, serve: Callable[[Handler], Server], connects: list[str]
) -> None:
    """A public address while it is checked, loopback when it is connected: only the checked one is dialled."""
    server = serve(picture)
    # 127.0.0.2 is allowed here and nobody listens on it, so that no packet leaves this machine.
    names = Names(rebinding_example=[["127.0.0.2"], ["127.0.0.1"]])
    job = fetching.run(server.url(host="rebinding.example"), names, allow="127.0.0.2")
    assert names.asked == ["rebinding.example"]
    assert server.accepts == 0
    assert (job.status, job.error and job.error["code"]) == ("queued", "source_unreachable")
    tcp = [address for address in connects if address.startswith("127.0.0.") and address != "127.0.0.1"]
    assert set(tcp) == {"127.0.0.2"}


def test_name_whose_later_answer_is_private_is_forbidden_at_the_next_try(
    fetching: Fetching, serve: Callable[[Handler], Server]
) -> None:
    server = serve(picture)
    names = Names(rebinding_example=[["127.0.0.2"], ["127.0.0.1"]])
    names("rebinding.example", server.port)  # somebody checks, and it looks well
    assert_forbidden(fetching.run(server.url(host="rebinding.example"), names, allow="127.0.0.2"))
    assert server.accepts == 0


def test_redirect_to_a_forbidden_address_is_not_followed(
    fetching: Fetching, serve: Callable[[Handler], Server]
) -> None:
    target = serve(picture)

    def redirect(conversation: Conversation) -> None:
        location = target.url()
        conversation.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    source = serve(redirect)
    assert_forbidden(fetching.run(source.url(), allow=f"127.0.0.1:{source.port}"))
    assert (source.accepts, target.accepts) == (1, 0)


def test_picture_is_stored_and_the_job_queued_for_its_priority(
    fetching: Fetching, serve: Callable[[Handler], Server]
) -> None:
    server = serve(picture)
    job = fetching.run(server.url("/p.jpg"), allow="127.0.0.1", priority=0)
    assert (job.status, job.stage, job.queue, job.attempts) == ("queued", "render", "imaging.high", 0)
    assert job.source_key == f"sources/{job.id}/1"
    assert job.source["bytes"] == len(PICTURE)
    assert job.source["url"] == server.url("/p.jpg")
    assert fetching.store.get(job.source_key) == PICTURE


def test_transfer_that_breaks_stores_nothing_and_is_tried_again(
    fetching: Fetching, serve: Callable[[Handler], Server]
) -> None:
    def half(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)

    job = fetching.run(serve(half).url(), allow="127.0.0.1")
    assert (job.status, job.stage) == ("queued", "fetch")
    assert job.run_at is not None
    assert fetching.stored == []


def test_claim_that_is_lost_meanwhile_leaves_no_object(fetching: Fetching, serve: Callable[[Handler], Server]) -> None:
    def slow(conversation: Conversation) -> None:
        with fetching.database.session_scope() as session:
            session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
            assert jobs.WORK.expire_leases(session, 3) == 1
        picture(conversation)

    job = fetching.run(serve(slow).url(), allow="127.0.0.1")
    assert (job.status, job.stage, job.source_key) == ("queued", "fetch", None)
    assert fetching.stored == []


def test_download_of_a_canceled_job_stops_between_two_chunks(
    fetching: Fetching, serve: Callable[[Handler], Server]
) -> None:
    """The server would send for a minute; nothing but the cancellation ends it before."""
    sent = []
    chunks = 600

    def dripping(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 36000000\r\n\r\n")
        with fetching.database.session_scope() as session:
            (job_id,) = session.execute(text("SELECT id FROM jobs")).one()
            assert jobs.cancel(session, job_id, "default") is CancelOutcome.CANCELED
        with contextlib.suppress(OSError):
            for number in range(chunks):
                sent.append(number)
                conversation.send(b"x" * 60_000)
                time.sleep(0.1)

    job = fetching.run(serve(dripping).url(), allow="127.0.0.1", timeout=120)
    assert (job.status, job.error) == ("canceled", None)
    assert 0 < len(sent) < chunks
    assert fetching.stored == []
