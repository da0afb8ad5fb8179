"""SIGTERM: whoever watches is told to come again, and the process ends in time."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
from tests.integration.api.running import Api, running_api, wait_until
from tests.integration.api.streaming import JOB, Stream, submitted, viewers, watching
from tests.integration.api.test_sockets import frames, opened

STREAMS = 100
SOCKETS = 5


def test_process_ends_at_once_and_tells_everybody_who_watches(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects") as api, ExitStack() as held, ThreadPoolExecutor(1) as pool:
        job_id = submitted(api)
        streams = [held.enter_context(watching(api, f"jobs/{job_id}/events")) for _ in range(STREAMS - 1)]
        streams.append(held.enter_context(watching(api, "events")))
        sockets = [held.enter_context(opened(api, job_id)) for _ in range(SOCKETS)]
        waiting = pool.submit(httpx.post, f"{api.url}/api/v1/jobs", json=JOB, headers={"Prefer": "wait=60"}, timeout=90)
        wait_until(lambda: viewers(api) == STREAMS + SOCKETS + 1, "all watch", 90)
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(timeout=60) == 0
        for stream in streams:
            assert stream.wait_for_end()[-1].event == "reconnect"
            assert stream.events[-1].id is None
        for socket in sockets:
            found, code = frames(socket)
            assert (found[-1]["event"], code) == ("reconnect", 1012)
        answer = waiting.result(60)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def watched_to_the_end(api: Api, job_id: str) -> Stream:
    with watching(api, f"jobs/{job_id}/events") as stream:
        assert [event.event for event in stream.wait_for_end()] == ["snapshot", "reconnect"]
    return stream


def test_stream_that_has_lasted_long_enough_ends_and_can_be_gone_on_with(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_STREAM_MAX_AGE="1", PIXMILL_SSE_PING="0.2") as api:
        job_id = submitted(api)
        # A process that stands still for a second has no time to ping.
        streams = (watched_to_the_end(api, job_id) for _ in range(20))
        stream = next(found for found in streams if found.comments.count("ping") >= 2)
        with watching(api, f"jobs/{job_id}/events", **{"Last-Event-ID": stream.events[0].id or ""}) as again:
            assert "snapshot" not in [event.event for event in again.wait_for_end()]


def test_more_viewers_than_may_watch_are_503_and_may_come_again(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_MAX_VIEWERS="2") as api, ExitStack() as held:
        job_id = submitted(api)
        first = held.enter_context(watching(api, f"jobs/{job_id}/events"))
        held.enter_context(watching(api, "events"))
        first.wait_for("snapshot")
        wait_until(lambda: viewers(api) == 2, "both watch", 60)
        answer = api.client.get(f"/api/v1/jobs/{job_id}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "streams_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        with opened(api, job_id) as socket:
            assert frames(socket) == ([], 1013)
        # Who may not be held is answered all the same.
        assert api.client.post("/api/v1/jobs", json=JOB, headers={"Prefer": "wait=5"}).status_code == 202
