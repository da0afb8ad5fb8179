"""The event stream of a job: what comes, in which order, and where it goes on."""

import asyncio

import pytest
from tests.integration.api.running import Api, wait_until
from tests.integration.api.streaming import JOB, complete, fail, nobody_watches, submitted, viewers, watching
from tests.integration.api.test_bad_input import assert_problem
from tests.ports import closed_port

from pixmill_api.progress.hub import Hub
from pixmill_api.progress.reading import Found, Reader, Wanted


def test_watched_job_tells_snapshot_outputs_and_its_end_and_then_the_stream_is_over(api: Api) -> None:
    job_id = submitted(api)
    with watching(api, f"jobs/{job_id}/events") as stream:
        snapshot = stream.wait_for("snapshot")
        assert snapshot.data == api.client.get(f"/api/v1/jobs/{job_id}").json()
        complete(api, job_id)
        events = stream.wait_for_end()
    assert stream.retry == 2000
    told = [event for event in events if event.event != "job.progress"]
    assert [(event.event, event.id) for event in told] == [
        ("snapshot", "0"),
        ("job.output", "1"),
        ("job.output", "2"),
        ("job.completed", "3"),
    ]
    job = api.client.get(f"/api/v1/jobs/{job_id}").json()
    assert [event.data["output"]["name"] for event in told[1:3]] == ["web", "thumb"]
    assert told[1].data["job_id"] == job_id
    ended = told[3].data
    assert (ended["status"], ended["progress"], len(ended["outputs"])) == ("completed", 100, 2)
    assert {**ended, "outputs": 0, "result": 0} == {**job, "outputs": 0, "result": 0}


def test_answer_is_kept_by_nobody_on_the_way(api: Api) -> None:
    with watching(api, f"jobs/{submitted(api)}/events") as stream:
        headers = stream.response.headers
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert headers["x-request-id"]
        assert "content-length" not in headers


def test_job_that_has_ended_tells_its_end_right_after_the_snapshot(api: Api) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    with watching(api, f"jobs/{job_id}/events") as stream:
        events = stream.wait_for_end()
    assert [(event.event, event.id) for event in events] == [("snapshot", "2"), ("job.completed", "3")]
    assert events[0].data["outputs"]


def test_failure_and_cancellation_are_told_as_what_they_are(api: Api) -> None:
    failed, canceled = submitted(api), submitted(api)
    with watching(api, f"jobs/{failed}/events") as first, watching(api, f"jobs/{canceled}/events") as second:
        first.wait_for("snapshot")
        second.wait_for("snapshot")
        fail(api, failed)
        api.client.post(f"/api/v1/jobs/{canceled}/cancel")
        assert first.wait_for_end()[-1].data["error"]["code"] == "undecodable"
        assert second.wait_for_end()[-1].data["status"] == "canceled"
    assert (first.events[-1].event, first.events[-1].id) == ("job.failed", "1")
    assert (second.events[-1].event, second.events[-1].id) == ("job.canceled", "1")


@pytest.mark.parametrize("seen", [0, 1, 2])
@pytest.mark.parametrize("place", ["header", "query"])
def test_who_comes_back_gets_what_was_missed_and_nothing_twice(api: Api, seen: int, place: str) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    query = f"?last_event_id={seen}" if place == "query" else ""
    headers = {"Last-Event-ID": str(seen)} if place == "header" else {}
    with watching(api, f"jobs/{job_id}/events{query}", **headers) as stream:
        events = stream.wait_for_end()
    assert [event.id for event in events] == [str(number) for number in range(seen + 1, 4)]
    assert events[-1].event == "job.completed"


def test_who_comes_back_in_time_gets_no_second_snapshot_but_the_progress(api: Api) -> None:
    job_id = submitted(api)
    with watching(api, f"jobs/{job_id}/events", **{"Last-Event-ID": "0"}) as stream:
        stream.wait_for("job.progress")
        complete(api, job_id)
        events = stream.wait_for_end()
    assert "snapshot" not in stream.names()
    assert [event.id for event in events if event.id] == ["1", "2", "3"]


def test_who_has_everything_is_told_not_to_come_again(api: Api) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    answer = api.client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "3"})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("id", ["4", "-1", "x", "1.5", "9" * 40, "²"])
def test_id_that_is_none_of_the_jobs_is_that_of_a_new_viewer(api: Api, id: str) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    with watching(api, f"jobs/{job_id}/events?last_event_id={id}") as stream:
        assert stream.wait_for_end()[0].event == "snapshot"


class FindsNothing(Reader):
    """Jobs that were not found are not looked at again: who asks for one once more has heard of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, wanted: Wanted) -> Found:
        self.asked.extend(wanted.jobs)
        return Found()


def test_commit_is_heard_of_without_a_look_at_the_rows(api: Api) -> None:
    async def heard(hub: Hub, reader: FindsNothing) -> bool:
        job_id = submitted(api)
        with hub.viewer() as viewer, hub.jobs.watched(job_id, viewer) as topic:
            await hub.jobs.read(topic)
            complete(api, job_id)
            # The first news is that it was not found.
            await viewer.wait(5)
            await viewer.wait(5)
            return reader.asked.count(job_id) == 2

    async def run() -> None:
        reader = FindsNothing()
        hub = Hub(reader, api.database_url, f"redis://127.0.0.1:{closed_port()}/0", 1)
        # It may begin to listen only after the first of them has ended.
        for _ in range(12):
            if await heard(hub, reader):
                break
        else:
            raise AssertionError("nothing was heard")
        await hub.close()

    asyncio.run(run())


def test_viewer_who_leaves_leaves_nothing_behind(api: Api) -> None:
    job_id = submitted(api)
    nobody_watches(api)
    with watching(api, f"jobs/{job_id}/events") as first, watching(api, "events"):
        first.wait_for("snapshot")
        wait_until(lambda: viewers(api) == 2, "both are known", 60)
    nobody_watches(api)


@pytest.mark.parametrize("id", ["x", "01890a5d-ac96-774b-bcce-b302099a8057", "%00", "'--"])
@pytest.mark.parametrize("kind", ["jobs", "batches"])
def test_what_is_not_there_is_404(api: Api, kind: str, id: str) -> None:
    assert_problem(api.client.get(f"/api/v1/{kind}/{id}/events"), 404, "not_found")
    nobody_watches(api)


def test_another_projects_job_is_404(api: Api) -> None:
    job_id = submitted(api)
    api.query("UPDATE jobs SET project = 'others' WHERE id = %s", job_id)
    assert_problem(api.client.get(f"/api/v1/jobs/{job_id}/events"), 404, "not_found")


def test_stream_of_a_job_that_is_deleted_ends(api: Api) -> None:
    job_id = submitted(api)
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        api.query("DELETE FROM jobs WHERE id = %s", job_id)
        assert stream.wait_for_end()[-1].event == "snapshot"


def test_job_names_its_stream(api: Api) -> None:
    job = api.client.post("/api/v1/jobs", json=JOB).json()
    assert job["urls"]["events"] == f"{api.url}/api/v1/jobs/{job['job_id']}/events"
