"""Tasks over HTTP: started as rows, by administrators, and looked at. No worker runs here."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.integration.api.running import Api, running_api
from tests.servers import Servers

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.requests import REQUESTABLE
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.failures import error_document
from pixmill_shared.repositories import task_records
from pixmill_shared.repositories.task_records import TaskRun
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer

CLEAN_UP = "pixmill_shared.tasks.maintenance.cleanup_old_data"
HEARTBEAT = "pixmill_shared.tasks.monitoring.record_heartbeat"


def start(api: Api, name: str, **body: object) -> dict[str, object]:
    answer = api.client.post(f"/api/v1/tasks/{name}", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def requests_of(api: Api) -> int:
    return int(api.query("SELECT count(*) FROM task_requests")[0][0])


@pytest.mark.parametrize("name", [CLEAN_UP, "cleanup_old_data"])
def test_started_task_is_a_row_and_the_answer_tells_where_to_look(api: Api, name: str) -> None:
    answer = api.client.post(f"/api/v1/tasks/{name}")
    assert answer.status_code == 202
    task = answer.json()
    assert (task["name"], task["state"], task["queue"], task["priority"]) == (
        CLEAN_UP,
        "queued",
        "maintenance",
        "normal",
    )
    assert (task["args"], task["result"], task["error"], task["attempts"]) == ({}, None, None, 0)
    assert (task["request_id"], task["entry"], task["duration_ms"]) == (answer.headers["X-Request-ID"], None, None)
    assert answer.headers["Location"] == task["urls"]["self"] == f"{api.url}/api/v1/tasks/{task['task_id']}"
    assert api.client.get(answer.headers["Location"]).json() == task
    rows = api.query("SELECT task, project, requested_by FROM task_requests WHERE id = %s", task["task_id"])
    assert rows == [(CLEAN_UP, "default", "api")]


def test_priority_high_goes_by_a_queue_of_its_own(api: Api) -> None:
    task = start(api, "record_heartbeat", priority="high")
    assert (task["queue"], task["priority"]) == ("default.high", "high")
    assert start(api, "record_heartbeat")["queue"] == "default"


def test_who_starts_a_task_is_written_down(api: Api) -> None:
    task = start(api, "expire_unfinished")
    found = api.query("SELECT action, target, detail FROM audit WHERE detail->>'task_id' = %s", task["task_id"])
    assert found == [
        ("task.started", task["name"], {"task_id": task["task_id"], "priority": "normal", "args": {}}),
    ]


@pytest.mark.parametrize(
    "name", ["nothing", "pixmill_imaging.tasks.render.render_job", "render_job", "send_message", "x" * 300, "%00"]
)
def test_task_that_nobody_may_start_is_not_found_and_not_started(api: Api, name: str) -> None:
    before = requests_of(api)
    answer = api.client.post(f"/api/v1/tasks/{name}", json={"args": {"anything": 1}})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert requests_of(api) == before


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"args": {"older_than": 1}}, ["/args/older_than"]),
        ({"args": []}, ["/args"]),
        ({"priority": "low"}, ["/priority"]),
        ({"priority": "low", "arguments": {}}, ["/arguments", "/priority"]),
        ({"args": {"a": "\0"}}, ["/args/a"]),
        ([], [""]),
    ],
    ids=["unknown-argument", "list", "priority", "several", "nul", "no-object"],
)
def test_wrong_call_is_refused_with_pointers_and_starts_nothing(api: Api, body: object, pointers: list[str]) -> None:
    before = requests_of(api)
    answer = api.client.post("/api/v1/tasks/cleanup_old_data", json=body)
    assert answer.status_code == 422, answer.text
    assert sorted(each["pointer"] for each in answer.json()["errors"]) == pointers
    assert requests_of(api) == before


def test_same_key_starts_one_task(api: Api) -> None:
    before, headers = requests_of(api), {"Idempotency-Key": str(uuid.uuid4())}
    answers = [api.client.post("/api/v1/tasks/record_heartbeat", headers=headers) for _ in range(3)]
    assert {answer.json()["task_id"] for answer in answers} == {answers[0].json()["task_id"]}
    assert requests_of(api) == before + 1


def test_list_shows_states_page_by_page(api: Api) -> None:
    made = [start(api, "record_heartbeat")["task_id"] for _ in range(3)]
    api.query(
        "UPDATE task_requests SET status = 'failed', finished_at = now(), error = %s WHERE id = %s",
        json.dumps({"code": "internal_error", "title": "t", "detail": "d", "retryable": True}),
        made[1],
    )
    page = api.client.get("/api/v1/tasks", params={"limit": 2}).json()
    assert [task["task_id"] for task in page["data"]] == [made[2], made[1]]
    assert page["has_more"]
    assert page["data"][1]["error"]["code"] == "internal_error"
    following = api.client.get("/api/v1/tasks", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [task["task_id"] for task in following["data"]] == [made[0]]
    failed = api.client.get("/api/v1/tasks", params={"state": "failed"}).json()["data"]
    assert [task["task_id"] for task in failed] == [made[1]]
    assert api.client.get("/api/v1/tasks", params={"state": "gone"}).status_code == 422


def test_list_has_tasks_that_beat_sent_between_those_that_were_asked_for(api: Api) -> None:
    database = Database(api.database_url)
    runs = [TaskRun(uuid.uuid4(), HEARTBEAT, "heartbeat", "default", "worker@here") for _ in range(2)]
    failure = error_document(ErrorCode.STORAGE_UNAVAILABLE, "It did not answer.")
    with database.session_scope() as session:
        task_records.keep(session, runs[0], attempts=3, seconds=1.5, error=failure)
    asked = str(start(api, "record_heartbeat")["task_id"])
    with database.session_scope() as session:
        task_records.keep(session, runs[1], attempts=1, seconds=0.25, result={"seen": 1})
    database.dispose()
    first, second = str(runs[1].task_id), str(runs[0].task_id)
    found: list[dict[str, object]] = []
    cursor = None
    while len(found) < 3:
        page = api.client.get("/api/v1/tasks", params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        found, cursor = found + page["data"], page["next_cursor"]
    assert [task["task_id"] for task in found] == [first, asked, second]
    done, failed = found[0], found[2]
    assert (done["name"], done["state"], done["entry"], done["result"]) == (
        *(HEARTBEAT, "succeeded", "heartbeat"),
        {"seen": 1},
    )
    assert (done["duration_ms"], done["attempts"], done["requested_by"], done["created_at"]) == (250, 1, None, None)
    assert (failed["state"], failed["error"], failed["duration_ms"]) == ("failed", failure, 1500)
    assert api.client.get(f"/api/v1/tasks/{second}").json() == failed
    states = {
        state: [task["task_id"] for task in api.client.get("/api/v1/tasks", params={"state": state}).json()["data"]]
        for state in ("queued", "running", "succeeded", "failed")
    }
    assert (asked in states["queued"], first in states["succeeded"], second in states["failed"]) == (True, True, True)
    assert not {first, second} & {*states["queued"], *states["running"]}


@pytest.mark.parametrize("task_id", ["0", "nothing", str(uuid.UUID(int=7))])
def test_task_that_does_not_exist_is_not_found(api: Api, task_id: str) -> None:
    assert api.client.get(f"/api/v1/tasks/{task_id}").status_code == 404


def test_every_task_that_may_be_started_is_in_the_document(api: Api) -> None:
    operation = api.client.get("/openapi.json").json()["paths"]["/api/v1/tasks/{task_id}"]["post"]
    for each in REQUESTABLE:
        assert f"`{each.name}`" in operation["description"]
        assert each.summary in operation["description"]


def test_result_that_celery_kept_is_shown(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    done, failed = str(uuid.uuid4()), str(uuid.uuid4())
    kept = {"status": "SUCCESS", "result": {"sum": 3}, "traceback": None, "date_done": "2030-01-31T08:00:00.5+00:00"}
    broken = {"status": "FAILURE", "result": {"exc_type": "KeyError", "exc_message": ["/secret"]}, "traceback": "File"}
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"celery-task-meta-{done}", json.dumps({**kept, "task_id": done}))
        client.set(f"celery-task-meta-{failed}", json.dumps({**broken, "task_id": failed}))
    with running_api(postgres_url, tmp_path / "objects", REDIS_URL=redis_url) as api:
        task = api.client.get(f"/api/v1/tasks/{done}").json()
        assert (task["task_id"], task["state"], task["result"]) == (done, "succeeded", {"sum": 3})
        assert task["finished_at"] == "2030-01-31T08:00:00.5Z"
        answer = api.client.get(f"/api/v1/tasks/{failed}")
        assert (answer.json()["state"], answer.json()["error"]["detail"]) == ("failed", "It raised KeyError.")
        assert "secret" not in answer.text
        assert "File" not in answer.text
        assert api.client.get(f"/api/v1/tasks/{uuid.uuid4()}").status_code == 404


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that asks for keys."""
    with running_api(postgres_url, tmp_path_factory.mktemp("guarded") / "objects", PIXMILL_AUTH="on") as running:
        yield running


def bearer(api: Api, *scopes: Scope, project: str = "p") -> dict[str, str]:
    database = Database(api.database_url)
    with database.session_scope() as session:
        token = create_key(session, Sealer(["x" * 32]), project=project, name="a test", scopes=scopes).token
    database.dispose()
    return {"Authorization": f"Bearer {token}"}


def test_only_administrators_start_tasks_and_look_at_them(guarded: Api) -> None:
    before, writer = requests_of(guarded), bearer(guarded, Scope.READ, Scope.WRITE)
    calls = [
        ("POST", "/api/v1/tasks/record_heartbeat"),
        ("GET", "/api/v1/tasks"),
        ("GET", f"/api/v1/tasks/{uuid.uuid4()}"),
    ]
    for method, path in calls:
        assert guarded.client.request(method, path).status_code == 401
        assert guarded.client.request(method, path, headers=writer).status_code == 403
    assert requests_of(guarded) == before
    answer = guarded.client.post("/api/v1/tasks/record_heartbeat", headers=bearer(guarded, Scope.ADMIN))
    assert answer.status_code == 202
    assert answer.json()["requested_by"].startswith("a test (")


def test_request_of_another_project_is_not_found_and_not_listed(guarded: Api) -> None:
    own, others = bearer(guarded, Scope.ADMIN), bearer(guarded, Scope.ADMIN, project="q")
    path = guarded.client.post("/api/v1/tasks/record_heartbeat", headers=own).json()["urls"]["self"]
    assert guarded.client.get(path, headers=own).status_code == 200
    assert guarded.client.get(path, headers=others).status_code == 404
    listed = {
        name: [task["urls"]["self"] for task in guarded.client.get("/api/v1/tasks", headers=who).json()["data"]]
        for name, who in (("own", own), ("others", others))
    }
    assert (path in listed["own"], path in listed["others"]) == (True, False)


def test_what_beat_sent_is_shown_to_the_administrators_of_all_projects(guarded: Api) -> None:
    run, database = (
        TaskRun(uuid.uuid4(), HEARTBEAT, "heartbeat", "default", "worker@here"),
        Database(guarded.database_url),
    )
    with database.session_scope() as session:
        task_records.keep(session, run, attempts=1, seconds=1)
    database.dispose()
    for project in ("p", "q"):
        headers = bearer(guarded, Scope.ADMIN, project=project)
        found = guarded.client.get("/api/v1/tasks", headers=headers).json()["data"]
        assert str(run.task_id) in [task["task_id"] for task in found]
        assert guarded.client.get(f"/api/v1/tasks/{run.task_id}", headers=headers).status_code == 200


@pytest.mark.parametrize("kind", ["job", "batch"])
def test_archive_of_another_projects_outputs_is_refused_as_one_of_none(guarded: Api, kind: str) -> None:
    own, others = bearer(guarded, Scope.ADMIN), bearer(guarded, Scope.ADMIN, project="q")
    job = {"source": {"url": "https://example.com/a.jpg"}, "preset": "web"}
    path, body = ("/api/v1/jobs", job) if kind == "job" else ("/api/v1/batches", {"items": [job]})
    id = guarded.client.post(path, json=body, headers=others).json()[f"{kind}_id"]
    before, refused = requests_of(guarded), []
    for other in (id, str(uuid.UUID(int=7))):
        answer = guarded.client.post("/api/v1/tasks/build_zip", json={"args": {f"{kind}_id": other}}, headers=own)
        assert answer.status_code == 422, answer.text
        refused.append(answer.json()["errors"])
    assert refused == [[{"pointer": f"/args/{kind}_id", "detail": f"there is no such {kind}"}]] * 2
    assert requests_of(guarded) == before
    answer = guarded.client.post("/api/v1/tasks/build_zip", json={"args": {f"{kind}_id": id}}, headers=others)
    assert answer.status_code == 202, answer.text


def test_dead_letter_of_a_task_is_replayed_by_administrators_only(guarded: Api) -> None:
    admin, writer = bearer(guarded, Scope.ADMIN), bearer(guarded, Scope.READ, Scope.WRITE)
    task = guarded.client.post("/api/v1/tasks/cleanup_old_data", headers=admin).json()
    letter = str(uuid.uuid4())
    guarded.query(
        "INSERT INTO dead_letters (id, project, task, payload, error, attempts) VALUES (%s, 'p', %s, %s, '{}', 3)",
        *(letter, CLEAN_UP, json.dumps({"task_request_id": task["task_id"]})),
    )
    path, before = f"/api/v1/dead-letters/{letter}", requests_of(guarded)
    assert guarded.client.get(path, headers=writer).json()["kind"] == "task"
    assert guarded.client.post(f"{path}/replay", headers=writer).status_code == 403
    many = {"task": CLEAN_UP, "since": "2020-01-01T00:00:00Z"}
    assert guarded.client.post("/api/v1/dead-letters/replay", params=many, headers=writer).status_code == 403
    assert requests_of(guarded) == before
    answer = guarded.client.post(f"{path}/replay", headers=admin)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["name"], answer.json()["state"]) == (CLEAN_UP, "queued")
    assert answer.json()["task_id"] != task["task_id"]
    assert guarded.client.get(path, headers=writer).json()["replayed_as"] == answer.json()["task_id"]
