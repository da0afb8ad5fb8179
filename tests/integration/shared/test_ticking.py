"""Looks of two beats, one of which stands still within a transaction."""

import datetime
import time
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.integration.shared.processes import wait_until

from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import beat_runs
from pixmill_shared.schedule import SCHEDULE
from pixmill_shared.service.ticking import Tick, Ticker

#: So many hours apart are ticks of which the next is due in some hours: in an hour's tests it is not.
HOURS = next(hours for hours in range(8, 24) if 0.1 < time.time() / 3600 / hours % 1 < 0.8)
ENTRIES = [
    replace(entry, every=datetime.timedelta(hours=HOURS))
    for entry in SCHEDULE
    if entry.name in ("expire-uploads", "expire-keys")
]
UTC = ZoneInfo("UTC")


@pytest.fixture
def databases(postgres_url: str) -> Iterator[list[Database]]:
    databases = [Database(postgres_url) for _ in range(2)]
    with databases[0].session_scope() as session:
        session.execute(text("TRUNCATE beat_runs, schedule_entries"))
    yield databases
    for database in databases:
        database.dispose()


def test_beat_that_stands_still_holds_up_no_tick_but_its_own(databases: list[Database]) -> None:
    sent: list[str] = []
    other = Ticker(databases[1], ENTRIES, UTC, lambda tick: sent.append(tick.entry.name))

    def stand_still(tick: Tick) -> None:
        other.look()
        assert sent == [entry.name for entry in ENTRIES if entry.name != tick.entry.name]

    Ticker(databases[0], ENTRIES[:1], UTC, stand_still).look()
    other.look()
    assert len(sent) == 1


def test_tick_of_a_beat_that_stands_still_is_soon_sent_by_the_other(
    databases: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat_runs, "LONGEST_SILENCE", 0.2)
    sent: list[str] = []
    other = Ticker(databases[1], ENTRIES, UTC, lambda tick: sent.append(tick.entry.name))

    def stand_still(tick: Tick) -> None:
        wait_until(lambda: other.look() and tick.entry.name in sent, 40, "that the other sends it")

    with pytest.raises(DBAPIError):
        Ticker(databases[0], ENTRIES[:1], UTC, stand_still).look()
    assert sorted(sent) == sorted(entry.name for entry in ENTRIES)
