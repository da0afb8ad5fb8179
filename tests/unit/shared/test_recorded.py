"""Which tasks are recorded, and how often one without a row is tried in its place."""

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.retries import TRIES_IN_PLACE, in_place
from pixmill_shared.plumbing.leases import claims_row
from pixmill_shared.plumbing.recorded import run_of, tick_of
from pixmill_shared.schedule import SCHEDULE

HEARTBEAT = TaskName.RECORD_HEARTBEAT.value


@pytest.mark.parametrize(
    "task", [TaskName.FETCH_SOURCE, TaskName.RENDER_JOB, TaskName.DELIVER_WEBHOOK, TaskName.SEND_MESSAGE]
)
def test_tasks_of_rows_are_not_recorded(task: TaskName) -> None:
    assert claims_row(task.value)


def test_tasks_of_the_schedule_are() -> None:
    assert [entry.name for entry in SCHEDULE if claims_row(entry.task.value)] == []


@pytest.mark.parametrize("task_id", [None, "", "mine-1"])
def test_run_under_an_id_that_is_no_uuid_is_somebody_elses(task_id: object) -> None:
    assert run_of(HEARTBEAT, task_id, None, None, "worker@here") is None


def test_run_knows_its_queue_and_its_tick() -> None:
    entry, at = tick_of({"entry": "heartbeat", "at": "2026-05-01T03:00:00+00:00"})
    run = run_of(HEARTBEAT, str(uuid.UUID(int=7)), {"routing_key": "default.high"}, entry, "worker@here")
    assert run is not None
    assert (run.task_id, run.queue, run.entry) == (uuid.UUID(int=7), "default.high", "heartbeat")
    assert at is not None
    assert at.isoformat() == "2026-05-01T03:00:00+00:00"
    assert tick_of(None) == (None, None)


@given(st.integers(0, 2**32))
def test_what_is_transient_is_tried_again_within_seconds_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    pauses = [in_place(transient=True, attempts=tried, rng=rng) for tried in range(1, TRIES_IN_PLACE + 1)]
    assert pauses[-1] is None
    assert all(pause is not None and 0.25 <= pause <= 4 for pause in pauses[:-1])
    assert in_place(transient=False, attempts=1, rng=rng) is None
