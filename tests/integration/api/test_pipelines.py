"""Pipelines over HTTP: what is kept, what is refused, what a worker finds to do."""

import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import NOBODYS, assert_problem

PATH = "/api/v1/pipelines"
FEED = {"type": "rss", "url": "https://example.com/photos.xml"}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def api(postgres_url: str, tmp_path_factory: pytest.TempPathFactory, users: Path) -> Iterator[Api]:
    settings = {"PIXMILL_SOURCES": f"{users.as_uri()}/in", "PIXMILL_DESTINATIONS": users.as_uri()}
    objects = tmp_path_factory.mktemp("pipelines") / "objects"
    settings |= {"CELERY_TIMEZONE": "Asia/Tokyo", "PIXMILL_MAX_PIPELINES": "5"}
    with running_api(postgres_url, objects, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(api: Api) -> None:
    api.query("TRUNCATE pipelines, jobs, presets, task_requests, idempotency_records, audit CASCADE")


def make(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.client.post(PATH, json={"name": "Photos", "source": FEED, "preset": "web", **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_made_pipeline_looks_when_its_cron_expression_says_and_is_shown_so(api: Api) -> None:
    answer = api.client.post(
        PATH, json={"name": "Photos", "source": FEED, "preset": "web", "cron": "30  4 * * *", "priority": "low"}
    )
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, made["urls"]["self"])
    assert (made["cron"], made["timezone"], made["priority"]) == ("30 4 * * *", "Asia/Tokyo", "low")
    assert (made["preset"], made["preset_version"], made["paused"], made["failures"]) == ("web", 0, False, 0)
    assert made["source"] == {**dict.fromkeys(("prefix", "urls", "items", "image", "key")), **FEED}
    assert datetime.datetime.fromisoformat(made["next_run_at"]).strftime("%H:%M") == "19:30"
    assert api.client.get(made["urls"]["self"]).json() == made
    assert api.client.get(PATH).json() == {"data": [made], "next_cursor": None, "has_more": False}
    assert api.query("SELECT recipe -> 'outputs' -> 0 ->> 'name' FROM pipelines") == [("web",)]


def test_same_key_makes_one_pipeline(api: Api) -> None:
    body = {"name": "Photos", "source": FEED, "preset": "web"}
    answers = [api.client.post(PATH, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert api.query("SELECT count(*) FROM pipelines") == [(1,)]


def test_one_pipeline_too_many_is_refused(api: Api) -> None:
    for _ in range(5):
        make(api)
    answer = api.client.post(PATH, json={"name": "Photos", "source": FEED, "preset": "web"})
    assert "already" in assert_problem(answer, 409, "conflict")["detail"]
    assert len(api.client.get(PATH).json()["data"]) == 5


def test_list_is_read_page_by_page(api: Api) -> None:
    made = [make(api, name=str(n))["pipeline_id"] for n in range(3)]
    first = api.client.get(PATH, params={"limit": 2}).json()
    rest = api.client.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["pipeline_id"] for each in first["data"] + rest["data"]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": "* * * * * *"}, "/cron"),
        ({"cron": "0 0 30 2 *"}, "/cron"),
        ({"cron": "@daily"}, "/cron"),
        ({"timezone": "Europe/Nowhere"}, "/timezone"),
        ({"timezone": "../etc/passwd"}, "/timezone"),
        ({"preset": "no-such-preset"}, "/preset"),
        ({"name": ""}, "/name"),
        ({"webhook_url": "http://10.0.0.1/x"}, "/webhook_url"),
        ({"source": {"type": "rss"}}, "/source"),
        ({"source": {"type": "rss", "url": "http://127.0.0.1/x"}}, "/source/url"),
        ({"source": {"type": "ftp", "url": "https://example.com/"}}, "/source/type"),
        ({"source": {**FEED, "items": "/a"}}, "/source"),
        ({"source": {"type": "urls", "urls": ["https://x.example/"], "url": "https://x.example/"}}, "/source"),
        ({"source": {"type": "urls", "urls": []}}, "/source/urls"),
        ({"source": {"type": "json", "url": "https://x.example/", "items": "data"}}, "/source/items"),
        ({"source": {"type": "storage", "prefix": "s3://elsewhere/x"}}, "/source/prefix"),
        ({"destination": "s3://elsewhere/x"}, "/destination"),
        ({"more": 1}, "/more"),
    ],
    ids=[
        *("minute", "six fields", "never", "name of one", "zone", "path", "preset", "empty name", "receiver"),
        *("no url", "loopback", "type", "foreign field", "both", "no urls", "pointer", "prefix", "destination", "more"),
    ],
)
def test_wrong_pipeline_is_refused_and_none_is_made(api: Api, fields: dict[str, Any], pointer: str) -> None:
    answer = api.client.post(PATH, json={"name": "n", "source": FEED, "preset": "web", **fields})
    problem = assert_problem(answer, 422)
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert api.query("SELECT count(*) FROM pipelines") == [(0,)]


def test_outputs_may_not_come_back_as_sources(api: Api, users: Path) -> None:
    source = {"type": "storage", "prefix": f"{users.as_uri()}/in/new"}
    body = {"name": "n", "source": source, "preset": "web", "destination": f"{users.as_uri()}/in/new/out"}
    problem = assert_problem(api.client.post(PATH, json=body), 422)
    assert problem["errors"][0]["pointer"] == "/destination"
    assert make(api, source=source, destination=f"{users.as_uri()}/out")["source"]["prefix"] == source["prefix"]


def test_change_ends_a_run_and_forgets_what_the_old_source_said(api: Api) -> None:
    made = make(api, webhook_url="https://hooks.example/x", metadata={"a": 1})
    _claimed(api, made["pipeline_id"])
    api.query('UPDATE pipelines SET cursor = \'{"etag": "x"}\', failures = 2')
    change = {"source": {"type": "atom", "url": "https://example.com/atom"}, "cron": "0 6 * * *", "webhook_url": None}
    changed = api.client.patch(made["urls"]["self"], json=change).json()
    assert (changed["source"]["type"], changed["webhook_url"], changed["metadata"]) == ("atom", None, {"a": 1})
    assert (changed["failures"], changed["running"]) == (0, False)
    assert datetime.datetime.fromisoformat(changed["next_run_at"]).strftime("%H:%M") == "21:00"
    assert api.query("SELECT fence, cursor, lease_until FROM pipelines") == [(2, {}, None)]
    assert api.query("SELECT status FROM pipeline_runs") == [("canceled",)]


def test_new_source_of_one_that_waits_after_failures_is_looked_at_at_the_next_time(api: Api) -> None:
    made = make(api)
    api.query("UPDATE pipelines SET failures = 9, run_at = now() + interval '6 hours'")
    change = {"source": {"type": "atom", "url": "https://example.com/atom"}}
    changed = api.client.patch(made["urls"]["self"], json=change).json()
    ahead = datetime.datetime.fromisoformat(changed["next_run_at"]) - datetime.datetime.now(datetime.UTC)
    assert ahead < datetime.timedelta(minutes=31)


def _claimed(api: Api, pipeline_id: str) -> None:
    """As a worker that is reading the source."""
    api.query(
        "UPDATE pipelines SET fence = 1, claimed_by = 'w', lease_until = now() + interval '1 minute' WHERE id = %s",
        pipeline_id,
    )
    api.query(
        "INSERT INTO pipeline_runs (id, pipeline_id, trigger, status) VALUES (%s, %s, 'schedule', 'running')",
        *(str(uuid.uuid4()), pipeline_id),
    )


def test_pause_and_resume_say_so_and_may_be_repeated(api: Api) -> None:
    # At no time that could go by meanwhile.
    made = make(api, cron="30 4 29 2 *")
    _claimed(api, made["pipeline_id"])
    for _ in range(2):
        paused = api.client.post(made["urls"]["pause"]).json()
        assert (paused["paused"], paused["next_run_at"], paused["running"]) == (True, None, False)
    assert api.query("SELECT status FROM pipeline_runs") == [("canceled",)]
    for _ in range(2):
        resumed = api.client.post(made["urls"]["resume"]).json()
        assert (resumed["paused"], resumed["next_run_at"]) == (False, made["next_run_at"])
    assert api.query("SELECT action FROM audit ORDER BY id") == [
        *(("pipeline.created",), ("pipeline.changed",), ("pipeline.changed",))
    ]


def test_asked_to_run_it_is_due_and_a_worker_is_woken(api: Api) -> None:
    made = make(api, paused=True)
    answer = api.client.post(made["urls"]["run"])
    run = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, run["urls"]["self"])
    assert (run["status"], run["trigger"], run["dry_run"], run["items"]) == ("queued", "request", False, None)
    assert api.client.get(run["urls"]["self"]).json() == run
    dry = api.client.post(made["urls"]["run"], params={"dry_run": "true"}).json()
    assert dry["dry_run"] is True
    assert api.client.post(made["urls"]["run"]).json()["run_id"] == run["run_id"]
    listed = api.client.get(made["urls"]["runs"]).json()["data"]
    assert [each["run_id"] for each in listed] == [dry["run_id"], run["run_id"]]
    assert api.query("SELECT requested_at IS NOT NULL FROM pipelines") == [(True,)]
    assert api.query("SELECT DISTINCT queue, task, turn FROM task_requests") == [
        ("fetch", "pixmill_imaging.tasks.ingest.check_pipelines", 1)
    ]


def test_items_and_jobs_are_listed_and_the_jobs_outlive_the_pipeline(api: Api) -> None:
    made = make(api)
    job, item = str(uuid.uuid4()), str(uuid.uuid4())
    api.query(
        "INSERT INTO jobs (id, project, stage, queue, source, recipe, pipeline_id) "
        "VALUES (%s, 'default', 'fetch', 'fetch', '{\"url\": \"https://x.example/\"}', '{}', %s)",
        *(job, made["pipeline_id"]),
    )
    api.query(
        "INSERT INTO pipeline_items (pipeline_id, key, id, location, job_id) VALUES (%s, 'k', %s, 'https://x/', %s)",
        *(made["pipeline_id"], item, job),
    )
    (found,) = api.client.get(made["urls"]["items"]).json()["data"]
    assert (found["key"], found["location"], found["job_id"]) == ("k", "https://x/", job)
    (listed,) = api.client.get("/api/v1/jobs", params={"pipeline": made["pipeline_id"]}).json()["data"]
    assert (listed["job_id"], listed["pipeline_id"]) == (job, made["pipeline_id"])
    assert api.client.get("/api/v1/jobs", params={"pipeline": NOBODYS}).json()["data"] == []
    assert api.client.delete(made["urls"]["self"]).status_code == 204
    assert_problem(api.client.get(made["urls"]["self"]), 404)
    assert api.client.get(f"/api/v1/jobs/{job}").json()["pipeline_id"] is None


def test_pipeline_follows_the_preset_that_it_names_without_a_version(api: Api) -> None:
    recipes = [{"outputs": [{"name": name, "format": "png"}]} for name in ("one", "two")]
    api.client.put("/api/v1/presets/mine", json={"recipe": recipes[0]}).raise_for_status()
    following, pinned = make(api, preset="mine"), make(api, preset="mine@1")
    api.client.put("/api/v1/presets/mine", json={"recipe": recipes[1]}).raise_for_status()
    versions = [api.client.get(each["urls"]["self"]).json()["preset_version"] for each in (following, pinned)]
    assert versions == [2, 1]
    names = api.query("SELECT recipe -> 'outputs' -> 0 ->> 'name' FROM pipelines ORDER BY id")
    assert names == [("two",), ("one",)]


@pytest.mark.parametrize("call", ["", "/run", "/pause", "/resume", "/runs", f"/runs/{NOBODYS}", "/items"])
def test_nobodys_pipeline_is_not_found(api: Api, call: str) -> None:
    method = "POST" if call in ("/run", "/pause", "/resume") else "GET"
    for name in (NOBODYS, "nonsense"):
        assert_problem(api.client.request(method, f"{PATH}/{name}{call}"), 404)


def test_other_projects_and_readers_change_nothing(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_AUTH="on") as guarded:
        owner, other = (bearing(made_key(guarded, project)) for project in ("shop", "press"))
        reader = bearing(made_key(guarded, "shop", scopes=["jobs:read"]))
        body = {"name": "Photos", "source": FEED, "preset": "web"}
        assert_problem(guarded.client.post(PATH, json=body, headers=reader), 403)
        made = guarded.client.post(PATH, json=body, headers=owner).json()
        url = made["urls"]["self"]
        calls = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/pause"), ("GET", "/runs")]
        for method, call in calls:
            content = {"name": "x"} if method == "PATCH" else None
            assert_problem(guarded.client.request(method, url + call, headers=other, json=content), 404)
        assert guarded.client.get(url, headers=reader).json() == made
        assert_problem(guarded.client.delete(url, headers=reader), 403)
        assert guarded.query("SELECT api_key_id IS NOT NULL, project FROM pipelines") == [(True, "shop")]
