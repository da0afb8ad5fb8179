"""Beats as processes: each tick is sent once and run once, however many send and whatever is killed."""

import datetime
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.shared.clockwork import SECOND, Clockwork, gaps
from tests.integration.shared.processes import wait_until
from tests.servers import Servers

from pixmill_shared.database.models.crew import ScheduleWish


@pytest.fixture
def clockwork(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Clockwork]:
    clockwork = Clockwork(servers, postgres_url, redis_url, tmp_path)
    yield clockwork
    clockwork.close()


def test_of_two_beats_one_is_killed_and_no_tick_is_missed_for_long_or_run_twice(clockwork: Clockwork) -> None:
    worker, beats = clockwork.worker(), [clockwork.beat(), clockwork.beat()]
    for process in (worker, *beats):
        process.wait_ready(120)
    wait_until(lambda: clockwork.done() >= 8, 60, "ticks of two")
    # Between two ticks: what is killed after it published, and before it noted that, is for the next test.
    clockwork.armed.arm("beat.tick", "kill")
    wait_until(lambda: any(beat.popen.poll() is not None for beat in beats), 60, "the kill")
    before = clockwork.done()
    wait_until(lambda: clockwork.done() >= before + 12, 60, "ticks of the other")
    (left,) = [beat for beat in beats if beat.popen.poll() is None]
    left.end(signal.SIGTERM)
    runs = clockwork.settled(worker)
    assert all(run.scheduled_at.microsecond == 0 for run in runs)
    # A minute is what a machine may stand still. Others have half an hour here until a second one takes over.
    assert max(gaps(runs)) < 60 * SECOND
    assert {run.error for run in runs} == {None}

    # One message a tick: nothing was sent twice, and so nothing had to be dropped.
    def once() -> bool:
        return worker.metric("pixmill_tasks_total", "record_heartbeat") == clockwork.done()

    wait_until(once, 60, "a count of one for each tick")
    assert "tick was run before" not in worker.log


def test_tick_whose_beat_is_killed_after_publishing_it_is_run_once(clockwork: Clockwork) -> None:
    clockwork.armed.arm("beat.sent", "kill", "heartbeat", count=3)
    worker, beats = clockwork.worker(), [clockwork.beat(), clockwork.beat()]
    worker.wait_ready(120)
    wait_until(lambda: any(beat.popen.poll() is not None for beat in beats), 120, "the kill")
    left = next(beat for beat in beats if beat.popen.poll() is None)
    known = {run.scheduled_at for run in clockwork.runs()}
    before = clockwork.done()
    wait_until(lambda: clockwork.done() >= before + 4, 60, "ticks of the other")
    left.end(signal.SIGTERM)
    assert known <= {run.scheduled_at for run in clockwork.settled(worker)}

    # The one without a row was sent again by the other, or was run by its message: one of two messages was dropped.
    def once() -> bool:
        ended = int(worker.metric("pixmill_tasks_total", "record_heartbeat"))
        return ended - worker.log.count("tick was run before") == clockwork.done()

    wait_until(once, 60, "a count of one for each tick")


def test_broker_that_is_away_for_some_ticks_gets_the_last_of_them_once_it_is_back(clockwork: Clockwork) -> None:
    worker, beat = clockwork.worker(), clockwork.beat()
    for process in (worker, beat):
        process.wait_ready(120)
    wait_until(lambda: clockwork.done() >= 2, 60, "the first ticks")
    # Between two ticks: what is cut off after it published, and before it noted that, is run by its message alone.
    clockwork.armed.arm("beat.tick", "pause", seconds=300)
    (pause,) = wait_until(clockwork.armed.strikes, 60, "a pause of beat")
    away = len(clockwork.runs())
    clockwork.gate.shut()
    pause.file.unlink()
    wait_until(lambda: "cannot send ticks, waiting" in beat.log, 60, "that beat notices")
    until = datetime.datetime.now(datetime.UTC) + 4 * SECOND
    wait_until(lambda: datetime.datetime.now(datetime.UTC) > until, 60, "four more ticks")
    assert len(clockwork.runs()) == away
    wait_until(lambda: beat.ask("/health")[0] == 200, 60, "that beat is well")
    done = clockwork.done()
    clockwork.gate.open()
    wait_until(lambda: clockwork.done() > done + 1, 60, "that ticks are run")
    assert clockwork.runs()[away].scheduled_at - clockwork.runs()[away - 1].scheduled_at >= 4 * SECOND


def test_operator_switches_an_entry_off_and_gives_it_another_interval(clockwork: Clockwork) -> None:
    beat = clockwork.beat(PIXMILL_SCHEDULE="heartbeat=1,sample-queues=1")
    beat.wait_ready(120)
    wait_until(lambda: len(clockwork.runs()) >= 2, 60, "ticks")
    _wish(clockwork, enabled=False)
    wait_until(lambda: not _goes_on(clockwork), 60, "quiet")
    _wish(clockwork, enabled=True, every_seconds=2)
    before = len(clockwork.runs())
    # A beat that was held up leaves ticks out: what it sends is two seconds apart, or four.
    wait_until(lambda: len(clockwork.runs()) >= before + 3, 60, "ticks")
    assert {gap % (2 * SECOND) for gap in gaps(clockwork.runs()[before:])} == {0 * SECOND}


def test_nightly_work_is_not_done_at_the_first_start(clockwork: Clockwork) -> None:
    clockwork.beat().wait_ready(120)
    (run,) = wait_until(lambda: clockwork.runs("daily-report"), 60, "the report's row")
    assert (run.task_id, run.result) == (None, {"skipped": "before the first start"})


def _wish(clockwork: Clockwork, *, enabled: bool, every_seconds: float | None = None) -> None:
    with clockwork.database.session_scope() as session:
        session.merge(
            ScheduleWish(entry="heartbeat", enabled=enabled, every_seconds=every_seconds, changed_by="a test")
        )


def _goes_on(clockwork: Clockwork) -> bool:
    """A tick comes while another entry has three of the same interval."""
    count, others = len(clockwork.runs()), len(clockwork.runs("sample-queues"))
    wait_until(lambda: len(clockwork.runs("sample-queues")) >= others + 3, 60, "ticks of another entry")
    return len(clockwork.runs()) > count
