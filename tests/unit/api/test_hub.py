"""The hub without its sources: who comes at whatever moment is answered, and nobody waits longer than asked."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from pixmill_api.progress import hub as module
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.reading import Found, Reader, Wanted
from pixmill_api.progress.waiting import until_ended

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


class NoRows(Reader):
    """Finds nothing; not before ``open``."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def read(self, wanted: Wanted) -> Found:
        assert self.open.wait(60)
        return Found()


class Silent:
    """In the place of the listener, and of what hears percentages: ``leave`` says that it may close."""

    def __init__(self) -> None:
        self.closing, self.leave = asyncio.Event(), asyncio.Event()

    def listener(self, *_: object) -> "Silent":
        return self

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    async def hear_percentages(self, _url: str, _hear: Callable[[str, str, int], None]) -> None:
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


def new_hub(reader: NoRows) -> Hub:
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
