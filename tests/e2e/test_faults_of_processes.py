"""Processes of pixmill are killed, stopped and poisoned under load, each at a named place in its work: no job is lost,
none is done twice, and every webhook comes under one id. `make chaos` does the same many times, and at seeded moments.
"""

import random

import pytest
from tests.faults.others import ClockForward, TwoDispatchers
from tests.faults.poison import AllPoisons
from tests.faults.rounds import play
from tests.faults.scenarios import (
    KillApi,
    KillBeat,
    KillChild,
    KillDispatcher,
    KillFetcher,
    KillNotifier,
    KillWorker,
    StopApi,
    StopBusyFetcher,
    StopBusyWorker,
    StopDispatcher,
    StopNotifier,
)
from tests.faults.stack import Stack
from tests.faults.striking import Fault, Moment

pytestmark = pytest.mark.timeout(400)

PATIENCE = 4
Places = dict[type[Fault], tuple[str, ...]]


def wrong(stack: Stack, jobs: int, places: Places) -> dict[str, list[str]]:
    """What was found wrong, by fault."""
    moments = {kind: Moment(points, random.Random(kind.__name__)) for kind, points in places.items()}
    # Dice of its own for each test: the same job twice would be a link to what exists.
    dice = random.Random(" ".join(kind.__name__ for kind in places))
    outcomes = play(stack, moments, jobs, dice, PATIENCE)
    return {outcome.name: outcome.wrong for outcome in outcomes if outcome.wrong}


def test_processes_that_are_killed_lose_and_double_nothing(breakable: Stack) -> None:
    places: Places = {
        KillChild: ("render.claimed", "output.made", "output.stored", "finish.committed"),
        KillFetcher: ("fetch.stored",),
        KillNotifier: ("webhook.answered",),
        KillDispatcher: ("dispatch.published",),
        KillApi: ("submit.committed",),
        KillBeat: ("beat.tick",),
    }
    assert wrong(breakable, 60, places) == {}


def test_render_worker_that_is_killed_loses_and_doubles_nothing(breakable: Stack) -> None:
    assert wrong(breakable, 40, {KillWorker: ("finish.begun",)}) == {}


def test_processes_that_are_stopped_fail_no_job_and_count_no_attempt(breakable: Stack) -> None:
    places: Places = {
        StopBusyWorker: ("output.made",),
        StopBusyFetcher: ("fetch.stored",),
        StopNotifier: ("webhook.claimed",),
        StopDispatcher: ("dispatch.taken",),
        StopApi: ("submit.inserted",),
    }
    assert wrong(breakable, 60, places) == {}


def test_jobs_that_end_their_process_fail_after_three_attempts_and_harm_no_other(breakable: Stack) -> None:
    assert wrong(breakable, 40, {AllPoisons: AllPoisons.points}) == {}


def test_two_dispatchers_and_a_clock_that_jumps_lose_and_double_nothing(breakable: Stack) -> None:
    places: Places = {TwoDispatchers: ("dispatch.published",), ClockForward: ("output.stored",)}
    assert wrong(breakable, 40, places) == {}
