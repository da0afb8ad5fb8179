"""The hub without its sources: who comes at whatever moment is answered, and nobody waits longer than asked."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import JSONResponse

from pixmill_api.auth import ANYONE
from pixmill_api.progress import hub as module
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.percentages import pass_on
from pixmill_api.progress.reading import Found, Reader, Wanted
from pixmill_api.progress.waiting import until_ended
from pixmill_api.routes.sockets import watch_job
from pixmill_api.routes.submitting import held

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


class NoRows(Reader):
    """Finds nothing; not before ``open``."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def read(self, wanted: Wanted) -> Found:
        assert self.open.wait(60)
        return Found()


class NoConnectionFree(Reader):
    """All connections of the pool are in use, and stay so."""

    def __init__(self) -> None:
        return

    def read(self, wanted: Wanted) -> Found:
        raise PoolTimeout


class Silent:
    """In the place of the listener, and of what hears percentages: ``leave`` says that it may close."""

    def __init__(self) -> None:
        self.opened = 0
        self.closing, self.leave = asyncio.Event(), asyncio.Event()

    def listener(self, *_: object) -> "Silent":
        return self

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    async def hear_percentages(self, _url: str, _hear: Callable[[str, str, int], None]) -> None:
        self.opened += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.closing.set()
            await self.leave.wait()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    sources = Silent()
    monkeypatch.setattr(module, "Listener", sources.listener)
    monkeypatch.setattr(module, "hear_percentages", sources.hear_percentages)
    monkeypatch.setattr(module, "LINGER", 0.05)
    return sources


def new_hub(reader: Reader) -> Hub:
    return Hub(reader, "postgresql://nowhere", "redis://nowhere", 10)


async def nobody_leaves() -> dict[str, str]:
    await asyncio.Event().wait()
    raise AssertionError


def test_who_comes_while_the_sources_are_let_go_of_is_answered(silent: Silent) -> None:
    async def run() -> None:
        hub = new_hub(NoRows())
        with hub.viewer() as viewer, hub.jobs.watched(JOB, viewer) as topic:
            assert await hub.jobs.read(topic) is None
        async with asyncio.timeout(60):
            await silent.closing.wait()
        with hub.viewer() as viewer, hub.jobs.watched(JOB, viewer) as topic:
            silent.leave.set()
            async with asyncio.timeout(60):
                assert await hub.jobs.read(topic) is None
        await hub.close()

    asyncio.run(run())


def test_hub_that_closes_as_the_sources_are_let_go_of_opens_them_for_nobody(silent: Silent) -> None:
    async def run() -> None:
        hub = new_hub(NoRows())
        with hub.viewer() as viewer, hub.jobs.watched(JOB, viewer) as topic:
            await hub.jobs.read(topic)
        async with asyncio.timeout(60):
            await silent.closing.wait()
        with hub.viewer():
            closing = asyncio.create_task(hub.close())
            await asyncio.sleep(0)  # it begins
            assert hub.closing
            silent.leave.set()
            done, _ = await asyncio.wait([closing], timeout=60)
            assert done, "it waits for a moment for who is there, and for nothing else"
        assert silent.opened == 1

    asyncio.run(run())


def test_answer_is_held_no_longer_than_asked_for_even_if_nothing_can_be_read(silent: Silent) -> None:
    async def run() -> None:
        reader = NoRows()
        reader.open.clear()
        silent.leave.set()
        hub = new_hub(reader)
        try:
            async with asyncio.timeout(60):
                await until_ended(hub, JOB, 0.05, nobody_leaves)
        finally:
            reader.open.set()
            await hub.close()

    asyncio.run(run())


def test_held_answer_is_given_at_once_if_no_connection_is_free(silent: Silent) -> None:
    async def run() -> None:
        silent.leave.set()
        app = FastAPI()
        app.state.hub = new_hub(NoConnectionFree())
        scope = {"type": "http", "headers": [(b"prefer", b"wait=60")], "app": app}
        answer, nothing = JSONResponse({"job_id": JOB}, 202), SimpleNamespace()
        try:
            async with asyncio.timeout(30):
                assert await held(Request(scope, nobody_leaves), nothing, ANYONE, answer) is answer
        finally:
            await app.state.hub.close()

    asyncio.run(run())


def test_socket_is_told_to_try_later_if_no_connection_is_free(silent: Silent) -> None:
    sent: list[Any] = []

    async def connecting() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        silent.leave.set()
        app = FastAPI()
        app.state.hub = new_hub(NoConnectionFree())
        app.state.context = SimpleNamespace(settings=SimpleNamespace(keys_required=False))
        scope = {"type": "websocket", "headers": [], "query_string": b"", "app": app}
        try:
            async with asyncio.timeout(30):
                await watch_job(WebSocket(scope, connecting, send), JOB)
        finally:
            await app.state.hub.close()

    asyncio.run(run())
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert (sent[1]["code"], sent[1]["reason"]) == (1013, "The database does not answer.")


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"[]", b"{}", b"1", b"\xff", b'{"job": "a", "stage": "render", "progress": "x"}'),
        *(
            b'{"job": "a", "stage": "render", "progress": %s}' % wrong
            for wrong in (b"Infinity", b"NaN", b"null", b"[]")
        ),
        b"[" * 100_000,
    ],
    ids=lambda said: said[-20:].decode("latin-1"),
)
def test_what_is_no_percentage_is_passed_over(said: bytes) -> None:
    heard: list[Any] = []
    pass_on(said, lambda *told: heard.append(told))
    assert heard == []
