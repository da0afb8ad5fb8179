"""The event stream of a batch: counts, and its end."""

from typing import Any

import pytest
from tests.integration.api.running import Api
from tests.integration.api.streaming import complete, fail, watching
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_batches import made


def jobs_of(batch: dict[str, Any]) -> list[str]:
    return [job["job_id"] for job in batch["jobs"]]


def test_watched_batch_counts_its_jobs_and_tells_its_end(api: Api) -> None:
    batch = made(api, 3)
    ids = jobs_of(batch)
    with watching(api, batch["urls"]["events"]) as stream:
        snapshot = stream.wait_for("snapshot")
        complete(api, ids[0])
        progress = stream.wait_for("batch.progress")
        fail(api, ids[1])
        complete(api, ids[2])
        events = stream.wait_for_end()
    assert snapshot.data == {key: value for key, value in batch.items() if key != "jobs"}
    assert set(progress.data) == {"batch_id", "status", "total", "counts", "progress"}
    assert (progress.id, progress.data["counts"]["completed"], progress.data["progress"]) == ("1", 1, 33)
    end = events[-1]
    assert (end.event, end.id, end.data["status"]) == ("batch.completed", "4", "partially_completed")
    assert end.data == api.client.get(batch["urls"]["self"]).json()
    numbers = [int(event.id or -1) for event in events]
    assert numbers == sorted(set(numbers))


def test_many_jobs_that_end_together_are_few_events(api: Api) -> None:
    batch = made(api, 40)
    with watching(api, batch["urls"]["events"]) as stream:
        stream.wait_for("snapshot")
        api.client.post(batch["urls"]["cancel"])
        events = stream.wait_for_end()
    assert events[-1].event == "batch.completed"
    assert events[-1].data["counts"]["canceled"] == 40
    assert len(events) < 10


def test_batch_that_has_ended_tells_its_end_right_after_the_snapshot(api: Api) -> None:
    batch = made(api, 2)
    for id in jobs_of(batch):
        complete(api, id)
    with watching(api, batch["urls"]["events"]) as stream:
        events = stream.wait_for_end()
    assert [(event.event, event.id) for event in events] == [("snapshot", "2"), ("batch.completed", "3")]


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_who_comes_back_gets_the_end_and_no_snapshot(api: Api, seen: int) -> None:
    batch = made(api, 2)
    for id in jobs_of(batch):
        complete(api, id)
    with watching(api, batch["urls"]["events"], **{"Last-Event-ID": str(seen)}) as stream:
        assert [event.event for event in stream.wait_for_end()] == ["batch.completed"]
    again = api.client.get(batch["urls"]["events"], headers={"Last-Event-ID": "3"})
    assert again.status_code == 204


def test_another_projects_batch_is_404(api: Api) -> None:
    batch = made(api, 1)
    api.query("UPDATE batches SET project = 'others' WHERE id = %s", batch["batch_id"])
    assert_problem(api.client.get(batch["urls"]["events"]), 404, "not_found")
