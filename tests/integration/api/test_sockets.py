"""A job over a WebSocket: the same events, as frames."""

import contextlib
import json
import socket
from typing import Any

import pytest
from tests.integration.api.running import Api, wait_until
from tests.integration.api.streaming import complete, nobody_watches, submitted, viewers
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect


def opened(api: Api, job_id: str, query: str = "") -> ClientConnection:
    return connect(f"{api.url.replace('http', 'ws', 1)}/api/v1/ws/jobs/{job_id}{query}", open_timeout=60)


def frames(connection: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Until the server closes, and the code that it closes with."""
    found = []
    with contextlib.suppress(ConnectionClosedError):  # any code but 1000
        found.extend(json.loads(message) for message in connection)
    assert connection.close_code is not None
    return found, connection.close_code


def test_frames_are_the_events_and_the_socket_is_closed_after_the_last(api: Api) -> None:
    job_id = submitted(api)
    with opened(api, job_id) as connection:
        snapshot = json.loads(connection.recv(timeout=60))
        complete(api, job_id)
        rest, code = frames(connection)
    assert code == 1000
    assert (snapshot["id"], snapshot["event"], snapshot["data"]["job_id"]) == ("0", "snapshot", job_id)
    told = [(frame["id"], frame["event"]) for frame in rest if frame["event"] != "job.progress"]
    assert told == [("1", "job.output"), ("2", "job.output"), ("3", "job.completed")]
    assert set(rest[0]) == {"id", "event", "data"}


def test_who_comes_back_gets_what_was_missed(api: Api) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    with opened(api, job_id, "?last_event_id=1") as connection:
        found, code = frames(connection)
    assert ([frame["id"] for frame in found], code) == (["2", "3"], 1000)
    with opened(api, job_id, "?last_event_id=3") as connection:
        assert frames(connection) == ([], 1000)


def test_what_the_client_says_changes_nothing(api: Api) -> None:
    job_id = submitted(api)
    with opened(api, job_id) as connection:
        connection.recv(timeout=60)
        for message in ("hello", b"\x00" * 1000, "{}"):
            connection.send(message)
        complete(api, job_id)
        found, code = frames(connection)
    assert (found[-1]["event"], code) == ("job.completed", 1000)


def test_socket_that_the_client_closes_leaves_nothing_behind(api: Api) -> None:
    nobody_watches(api)
    with opened(api, submitted(api)) as connection:
        connection.recv(timeout=60)
        wait_until(lambda: viewers(api) == 1, "it is known", 60)
    nobody_watches(api)


def test_socket_that_breaks_leaves_nothing_behind(api: Api) -> None:
    nobody_watches(api)
    with opened(api, submitted(api)) as connection:
        connection.recv(timeout=60)
        wait_until(lambda: viewers(api) == 1, "it is known", 60)
        connection.socket.shutdown(socket.SHUT_RDWR)
        nobody_watches(api)


@pytest.mark.parametrize("id", ["x", "01890a5d-ac96-774b-bcce-b302099a8057"])
def test_job_that_is_none_closes_with_4404(api: Api, id: str) -> None:
    with opened(api, id) as connection:
        assert frames(connection) == ([], 4404)


def test_handshake_has_the_request_id(api: Api) -> None:
    url = f"{api.url.replace('http', 'ws', 1)}/api/v1/ws/jobs/{submitted(api)}"
    with connect(url, additional_headers={"X-Request-ID": "socket-1"}, open_timeout=60) as connection:
        assert connection.response is not None
        assert connection.response.headers["X-Request-ID"] == "socket-1"
