"""Keys: who has none gets nothing, and a project sees its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.api.running import Api, environment, ready, run_to_end, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer

SETTINGS = {"PIXMILL_AUTH": "on", "PIXMILL_KEY_CACHE_TTL": "1"}
BODY = {"image_url": "https://example.com/a.jpg"}


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(postgres_url, tmp_path_factory.mktemp("keys") / "objects", **SETTINGS) as running:
        yield running


def bearer(api: Api, project: str) -> dict[str, str]:
    database = Database(api.database_url)
    with database.session_scope() as session:
        token = create_key(session, Sealer(["x" * 32]), project=project, name="test").token
    database.dispose()
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Bearer pxm_",
        "Basic YTpi",
        f"Bearer pxm_{'a' * 55}",
        "Bearer pxm_%00",
        "Bearer \xe9",
        f"Bearer pxm_{'0' * 10_000}",
        f"Bearer pxm_{'0' * 12}{'a' * 43}",
        f"Bearer  pxm_{'0' * 12}' OR 1=1 --",
    ],
    ids=lambda header: repr(header)[:30] + str(len(header or "")),
)
def test_without_a_genuine_key_everything_is_401_and_nothing_happens(guarded: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    before = guarded.traces()
    for method, path in [
        ("POST", "/api/v1/process"),
        ("POST", "/api/v1/jobs"),
        ("GET", "/api/v1/jobs"),
        ("GET", f"/api/v1/jobs/{uuid.uuid4()}"),
        ("GET", f"/api/v1/jobs/{uuid.uuid4()}/outputs/web"),
        ("GET", "/metrics"),
    ]:
        body = BODY if method == "POST" else None
        answer = guarded.client.request(method, path, json=body, headers=headers)  # type: ignore[arg-type]
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert_problem(guarded.client.post("/api/v1/uploads", files={"file": b"x"}, headers=headers), 401)  # type: ignore[arg-type]
    assert guarded.traces() == before


def test_key_with_one_letter_changed_is_401(guarded: Api) -> None:
    token = bearer(guarded, "a")["Authorization"]
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert_problem(guarded.client.get("/api/v1/jobs", headers={"Authorization": changed}), 401)


def test_revoked_key_is_401_as_soon_as_the_process_has_forgotten_it(guarded: Api) -> None:
    headers = bearer(guarded, "revoked")
    assert guarded.client.get("/api/v1/jobs", headers=headers).status_code == 200
    guarded.query("UPDATE api_keys SET revoked_at = now() WHERE project = 'revoked'")
    wait_until(lambda: guarded.client.get("/api/v1/jobs", headers=headers).status_code == 401, "the key is refused", 60)
    assert_problem(guarded.client.get("/api/v1/jobs", headers=headers), 401, "unauthenticated")


def test_another_projects_things_are_404(guarded: Api) -> None:
    ours, theirs, also_ours = bearer(guarded, "ours"), bearer(guarded, "theirs"), bearer(guarded, "ours")
    client = guarded.client
    upload = client.post("/api/v1/uploads", content=b"x", headers={**ours, "Content-Type": "image/png"}).json()
    body = {"source": {"upload_id": upload["upload_id"]}, "recipe": {"outputs": [{"name": "a"}]}}
    refused = client.post("/api/v1/jobs", json=body, headers=theirs)
    assert assert_problem(refused, 422)["errors"][0]["pointer"] == "/source/upload_id"
    job = client.post("/api/v1/jobs", json=body, headers=ours).json()
    path = f"/api/v1/jobs/{job['job_id']}"
    assert_problem(client.get(path, headers=theirs), 404, "not_found")
    assert_problem(client.get(f"{path}/outputs/a", headers=theirs), 404, "not_found")
    assert client.get("/api/v1/jobs", headers=theirs).json()["data"] == []
    assert client.get(path, headers=also_ours).json()["job_id"] == job["job_id"]
    key_id = guarded.query("SELECT api_key_id FROM jobs WHERE id = %s", job["job_id"])[0][0]
    assert guarded.query("SELECT project FROM api_keys WHERE id = %s", key_id) == [("ours",)]


def test_health_needs_no_key(guarded: Api) -> None:
    assert guarded.client.get("/health").status_code == 200
    ready(guarded, database="ok")


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.1", "pixmill.example"])
def test_without_keys_it_binds_nothing_but_loopback(postgres_url: str, tmp_path: Path, bind: str) -> None:
    ended = run_to_end(environment(postgres_url, tmp_path, PIXMILL_AUTH="off", PIXMILL_BIND=bind))
    assert ended.returncode == 1
    assert "PIXMILL_AUTH" in ended.stderr
    assert "Traceback" not in ended.stderr
