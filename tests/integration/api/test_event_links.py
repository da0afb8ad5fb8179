"""Who may watch: keys that may read, and signed addresses for browsers, which send no headers."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.streaming import JOB, complete, watching
from tests.integration.api.test_bad_input import assert_problem
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    storage = tmp_path_factory.mktemp("links") / "objects"
    with running_api(postgres_url, storage, PIXMILL_AUTH="on", PIXMILL_STREAM_URL_TTL="600") as running:
        yield running


def key(api: Api, project: str = "acme", *scopes: Scope) -> dict[str, str]:
    database = Database(api.database_url)
    with database.session_scope() as session:
        made = create_key(session, Sealer(["x" * 32]), project=project, name="test", scopes=scopes or tuple(Scope))
    database.dispose()
    return {"Authorization": f"Bearer {made.token}"}


def job_of(api: Api, headers: dict[str, str]) -> dict[str, Any]:
    answer = api.client.post("/api/v1/jobs", json=JOB, headers=headers)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_signed_address_opens_the_stream_without_a_key(guarded: Api) -> None:
    job = job_of(guarded, key(guarded))
    with watching(guarded, job["urls"]["events"]) as stream:
        stream.wait_for("snapshot")
        complete(guarded, job["job_id"])
        events = stream.wait_for_end()
    assert events[-1].event == "job.completed"
    # Whoever watches by a link could go on for ever otherwise.
    for told in (events[0], events[-1]):
        assert told.data["urls"]["events"] == f"{guarded.url}/api/v1/jobs/{job['job_id']}/events"


def test_key_opens_the_stream_without_a_signature(guarded: Api) -> None:
    headers = key(guarded)
    job = job_of(guarded, headers)
    with watching(guarded, f"jobs/{job['job_id']}/events", **headers) as stream:
        assert stream.wait_for("snapshot").data["job_id"] == job["job_id"]


def test_address_stays_the_same_for_a_while_and_ends(guarded: Api) -> None:
    headers = key(guarded)
    before = time.time()
    job = job_of(guarded, headers)
    after = time.time()
    again = guarded.client.get(job["urls"]["self"], headers=headers).json()
    expires = int(parse_qs(urlsplit(job["urls"]["events"]).query)["expires"][0])
    assert int(parse_qs(urlsplit(again["urls"]["events"]).query)["expires"][0]) - expires in (0, 300)
    assert before + 600 < expires <= after + 600 + 300


def changed(url: str, **fields: str) -> str:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | fields
    return parts._replace(query=urlencode(query)).geturl()


def test_address_that_was_tampered_with_is_401_as_there_is_no_key_either(guarded: Api) -> None:
    job, other = job_of(guarded, key(guarded)), job_of(guarded, key(guarded))
    url = job["urls"]["events"]
    for wrong in (
        changed(url, expires="9999999999"),
        changed(url, signature="0" * 64),
        url.replace(job["job_id"], other["job_id"]),
        url.replace(f"jobs/{job['job_id']}", f"batches/{job['job_id']}"),
        changed(url, expires="1"),
    ):
        assert_problem(guarded.client.get(wrong), 401, "unauthenticated")


def test_address_that_is_malformed_is_422(guarded: Api) -> None:
    url = job_of(guarded, key(guarded))["urls"]["events"]
    for wrong in (changed(url, expires="x"), changed(url, signature="x"), changed(url, more="x")):
        assert_problem(guarded.client.get(wrong), 422, "invalid")


def test_without_a_key_or_an_address_it_is_401(guarded: Api) -> None:
    job = job_of(guarded, key(guarded))
    for path in (f"jobs/{job['job_id']}/events", f"batches/{job['job_id']}/events", "events"):
        assert_problem(guarded.client.get(f"/api/v1/{path}"), 401, "unauthenticated")


def test_key_that_may_not_read_is_403(guarded: Api) -> None:
    job = job_of(guarded, key(guarded))
    writer = key(guarded, "acme", Scope.WRITE)
    for path in (f"jobs/{job['job_id']}/events", "events"):
        assert_problem(guarded.client.get(f"/api/v1/{path}", headers=writer), 403, "forbidden")


def test_another_projects_job_is_404(guarded: Api) -> None:
    job = job_of(guarded, key(guarded))
    answer = guarded.client.get(f"/api/v1/jobs/{job['job_id']}/events", headers=key(guarded, "others"))
    assert_problem(answer, 404, "not_found")


def socket_url(api: Api, job_id: str, query: str = "") -> str:
    return f"{api.url.replace('http', 'ws', 1)}/api/v1/ws/jobs/{job_id}?{query}"


def test_signed_address_opens_a_socket_too(guarded: Api) -> None:
    job = job_of(guarded, key(guarded))
    query = urlsplit(job["urls"]["events"]).query
    with connect(socket_url(guarded, job["job_id"], query), open_timeout=60) as socket:
        assert json.loads(socket.recv(timeout=60))["event"] == "snapshot"


def test_socket_that_may_not_be_is_closed_with_a_code_that_says_why(guarded: Api) -> None:
    headers = key(guarded)
    job = job_of(guarded, headers)
    id = job["job_id"]
    for url, given, code in (
        (socket_url(guarded, id), {}, 4401),
        (socket_url(guarded, id), {"Authorization": "Bearer pxm_x"}, 4401),
        (socket_url(guarded, id), key(guarded, "acme", Scope.WRITE), 4403),
        (socket_url(guarded, id, f"expires=9999999999&signature={'0' * 64}"), {}, 4401),
        (socket_url(guarded, id), key(guarded, "others"), 4404),
        (socket_url(guarded, "x"), headers, 4404),
    ):
        with (
            connect(url, additional_headers=given, open_timeout=60) as socket,
            pytest.raises(ConnectionClosed) as closed,
        ):
            socket.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
