"""What is read in a pass, and what is caught up with when none could be."""

import asyncio
import datetime
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pixmill_api.progress import passes as module
from pixmill_api.progress.passes import Passes
from pixmill_api.progress.reading import Found, Reader, Wanted
from pixmill_api.progress.topics import Viewer
from pixmill_shared.domain.ids import least_id


class Rows(Reader):
    """Has none; ``since`` is from where on events were wanted, of the reading that came last."""

    def __init__(self) -> None:
        self.away = False
        self.since: Any = None

    def read(self, wanted: Wanted) -> Found:
        self.since = wanted.events_since
        if self.away:
            raise PoolTimeout
        return Found()


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(module, "LOOK_BACK", 0.0)
    return Rows()


def now() -> Any:
    return least_id(datetime.datetime.now(datetime.UTC))


def failing(call: Coroutine[Any, Any, bool]) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        with pytest.raises(PoolTimeout):
            await call

    return run()


def test_events_that_were_committed_while_nothing_could_be_read_are_looked_for(rows: Rows) -> None:
    async def run() -> None:
        passes = Passes(rows, lambda: None)
        with passes.feeds.watched("p", Viewer()):
            await passes.run(look=True)
            await asyncio.sleep(0.01)
            away = now()
            rows.away = True
            for _ in range(3):
                await failing(passes.run(look=True))
                await asyncio.sleep(0.01)
            rows.away = False
            await passes.run(look=True)
            assert rows.since < away
            await asyncio.sleep(0.01)
            back = now()
            await passes.run(look=True)
            assert away < rows.since < back
        passes.close()

    asyncio.run(run())


def test_who_comes_when_nobody_watched_is_told_nothing_of_before(rows: Rows) -> None:
    async def run() -> None:
        passes = Passes(rows, lambda: None)
        with passes.feeds.watched("p", Viewer()):
            await passes.run(look=True)
        await asyncio.sleep(0.01)
        came = now()
        with passes.feeds.watched("p", Viewer()):
            await passes.run(look=True)
            assert rows.since >= came
        passes.close()

    asyncio.run(run())
