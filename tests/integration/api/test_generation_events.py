"""Streams of jobs that generate: each item and each chunk as it comes, and once."""

import json

import pytest
from tests.integration.api.generating import carded, drawn, generate, job, work
from tests.integration.api.running import Api, wait_until
from tests.integration.api.streaming import Stream, Told, complete, submitted, watching
from websockets.sync.client import connect

LIVE = ("job.output", "job.progress")


def live(stream: Stream | list[Told]) -> list[tuple[int, str]]:
    """Ids and names of events that were told before the end."""
    events = stream if isinstance(stream, list) else stream.events
    return [(int(told.id), told.event) for told in events if told.id is not None and told.event in LIVE]


#: Four items in two chunks: what is told of them, by its id.
ALL = [*((n, "job.output") for n in (1, 2, 3)), (4, "job.progress"), (5, "job.output"), (6, "job.progress")]


def test_items_and_chunks_are_told_while_the_job_runs_and_once(api: Api) -> None:
    job_id = generate(api, 4)["job_id"]
    with watching(api, f"jobs/{job_id}/events") as stream:
        first = stream.wait_for("snapshot")
        assert (first.id, first.data["kind"], first.data["generation"]["completed_items"]) == ("0", "generate", 0)
        assert work(api, job_id, most=2) == 2
        output = stream.wait_for("job.output")
        assert not stream.ended.is_set()
        assert output.data.items() >= {"job_id": job_id, "item": 0, "name": "Dish 0", "provider": "gemini"}.items()
        assert output.data["generation_success"] is True
        assert [made["name"] for made in output.data["outputs"]] == [job(api, job_id)["outputs"][0]["name"]]
        assert api.client.get(output.data["outputs"][0]["url"]).status_code == 200
        assert work(api, job_id, results=carded) == 2
        events = stream.wait_for_end()
    assert live(events) == ALL
    chunk = next(told for told in events if told.id == "4")
    counts = {"completed_chunks": 1, "total_chunks": 2, "completed_items": 3, "total_items": 4, "progress": 75}
    assert chunk.data.items() >= {**counts, "job_id": job_id, "status": "processing", "stage": "generate"}.items()
    end = events[-1]
    assert (end.event, end.id, len(end.data["outputs"])) == ("job.completed", "7", 4)
    assert [told.data["generation_success"] for told in events if told.event == "job.output"] == [True] * 2 + [
        False
    ] * 2
    started = [told.data["status"] for told in events if told.event == "job.progress" and told.id is None]
    assert "processing" in started


@pytest.mark.parametrize("seen", [0, 2, 4, 6])
def test_who_comes_back_misses_nothing_and_gets_nothing_twice(api: Api, seen: int) -> None:
    job_id = generate(api, 4)["job_id"]
    work(api, job_id, most=3)
    if seen == 6:
        work(api, job_id)
    with watching(api, f"jobs/{job_id}/events", **{"Last-Event-ID": str(seen)}) as stream:
        work(api, job_id)
        events = stream.wait_for_end()
    assert live(events) == ALL[seen:]
    assert [told.event for told in events if told.event in ("snapshot", "job.completed")] == ["job.completed"]
    assert events[-1].id == "7"


def test_who_has_seen_the_end_is_told_to_stay_away(api: Api) -> None:
    job_id = generate(api, 1)["job_id"]
    work(api, job_id)
    answer = api.client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "3"})
    assert answer.status_code == 204


def test_job_that_has_ended_is_a_snapshot_with_all_outputs_and_its_end(api: Api) -> None:
    job_id = generate(api, 4)["job_id"]
    work(api, job_id)
    with watching(api, f"jobs/{job_id}/events") as stream:
        events = stream.wait_for_end()
    assert [(told.event, told.id) for told in events] == [("snapshot", "6"), ("job.completed", "7")]
    assert len(events[0].data["outputs"]) == 4


def test_canceled_job_tells_what_was_made_and_its_end(api: Api) -> None:
    job_id = generate(api, 4)["job_id"]
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        work(api, job_id, most=1)
        api.client.post(f"/api/v1/jobs/{job_id}/cancel")
        events = stream.wait_for_end()
    assert live(events) == [(1, "job.output")]
    assert (events[-1].event, events[-1].id, len(events[-1].data["outputs"])) == ("job.canceled", "2", 1)


def test_frames_of_a_socket_say_the_same(api: Api) -> None:
    job_id = generate(api, 4)["job_id"]
    url = api.url.replace("http", "ws") + f"/api/v1/ws/jobs/{job_id}"
    with connect(url, open_timeout=60) as socket:
        assert json.loads(socket.recv(60))["event"] == "snapshot"
        work(api, job_id)
        frames = [json.loads(text) for text in socket]
    told = [Told(frame["event"], frame["data"], frame["id"]) for frame in frames]
    assert live(told) == ALL
    assert (told[-1].event, told[-1].id) == ("job.completed", "7")


def test_stream_of_the_project_has_each_of_them_with_what_it_says(api: Api) -> None:
    with watching(api, "events") as stream:
        job_id = generate(api, 4, metadata={"shop": "x"})["job_id"]
        work(api, job_id)

        def told_of() -> list[Told]:
            return [told for told in stream.events if told.data.get("job_id") == job_id]

        # Not always in their order: ids that were minted in one millisecond have none.
        wait_until(lambda: len(told_of()) > len(ALL), "all of it is told", 60)
        events = told_of()
    assert sorted((told.data["sequence"], told.event) for told in events) == [*ALL, (7, "job.completed")]
    output = next(told for told in events if told.data["sequence"] == 2)
    assert output.data.items() >= {"item": 1, "name": "Dish 1", "generation_success": True}.items()
    assert output.data["metadata"] == {"shop": "x"}
    assert len({told.id for told in events}) == len(events)


def test_outputs_of_a_job_that_processes_are_told_at_its_end_as_before(api: Api) -> None:
    job_id = submitted(api)
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        complete(api, job_id)
        events = stream.wait_for_end()
    assert [(told.id, told.data["output"]["name"]) for told in events if told.event == "job.output"] == [
        ("1", "web"),
        ("2", "thumb"),
    ]
    assert (events[-1].event, events[-1].id) == ("job.completed", "3")


def test_no_receiver_is_told_of_items(api: Api) -> None:
    endpoint = {"url": "https://example.com/hook"}
    assert api.client.post("/api/v1/endpoints", json=endpoint).status_code == 201
    job_id = generate(api, 4, webhook_url="https://example.com/own")["job_id"]
    work(api, job_id)
    told = api.query("SELECT event_type FROM deliveries WHERE job_id = %s", job_id)
    assert told == [("job.completed",)] * 2
    refused = api.client.post("/api/v1/endpoints", json={**endpoint, "events": ["job.output"]})
    assert refused.status_code == 422


def test_viewer_who_comes_while_another_watches_sees_the_same(api: Api) -> None:
    job_id = generate(api, 4)["job_id"]
    with watching(api, f"jobs/{job_id}/events") as one:
        one.wait_for("snapshot")
        work(api, job_id, most=3, results=drawn)
        one.wait_for("job.output")
        with watching(api, f"jobs/{job_id}/events") as other:
            snapshot = other.wait_for("snapshot")
            work(api, job_id)
            later = other.wait_for_end()
        first = one.wait_for_end()
    assert live(first) == ALL
    assert live(later) == ALL[int(snapshot.id or 0) :]
