"""Batches over HTTP: made in one transaction, counted, canceled, made again, deleted."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_submitting import RECIPE, upload

HOOK = "https://example.com/batch"
NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"


def source(n: int = 0) -> dict[str, Any]:
    return {"source": {"url": f"https://example.com/{n}.jpg"}}


def batch_of(count: int, **changes: Any) -> dict[str, Any]:
    return {"items": [source(n) for n in range(count)], "recipe": RECIPE, **changes}


def made(api: Api, count: int = 2, **changes: Any) -> dict[str, Any]:
    answer = api.client.post("/api/v1/batches", json=batch_of(count, **changes))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def looked_at(api: Api, batch: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(batch["urls"]["self"]).json()
    return found


def test_batch_is_made_with_all_its_jobs(api: Api) -> None:
    answer = api.client.post(
        "/api/v1/batches",
        json=batch_of(3, priority="low", metadata={"order": 1}, webhook_url=HOOK),
        headers={"X-Request-ID": "batch-1"},
    )
    batch = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == batch["urls"]["self"] == f"{api.url}/api/v1/batches/{batch['batch_id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert (batch["status"], batch["total"], batch["progress"], batch["rejected"]) == ("processing", 3, 0, [])
    assert (batch["priority"], batch["metadata"], batch["webhook_url"]) == ("low", {"order": 1}, HOOK)
    none = dict.fromkeys(("processing", "completed", "failed", "canceled", "rejected"), 0)
    assert batch["counts"] == {"queued": 3, **none}
    assert [job["index"] for job in batch["jobs"]] == [0, 1, 2]
    without_jobs = {key: value for key, value in batch.items() if key != "jobs"}
    assert looked_at(api, batch) == without_jobs
    columns = "batch_index, id::text, status, stage, queue, priority, source, owner, request_id, webhook_url"
    rows = api.query(f"SELECT {columns} FROM jobs WHERE batch_id = %s ORDER BY id", batch["batch_id"])
    owner = f"batch:{batch['batch_id']}"
    assert rows == [
        (n, job["job_id"], "queued", "fetch", "fetch", 2, source(n)["source"], owner, "batch-1", None)
        for n, job in enumerate(batch["jobs"])
    ]
    job = api.client.get(f"/api/v1/jobs/{batch['jobs'][2]['job_id']}").json()
    assert (job["batch_id"], job["batch_index"]) == (batch["batch_id"], 2)


def test_turns_of_a_batch_follow_each_other_from_where_the_lane_is(api: Api) -> None:
    upload_id = upload(api)
    items = [source(), {"source": {"upload_id": upload_id}}, source(2), {"source": {"upload_id": upload_id}}]
    batch = made(api, items=items)
    rows = api.query("SELECT queue, turn FROM jobs WHERE batch_id = %s ORDER BY batch_index", batch["batch_id"])
    assert rows == [("fetch", 1), ("imaging", 1), ("fetch", 2), ("imaging", 2)]


def test_item_says_for_itself_what_it_does_otherwise_than_the_batch(api: Api) -> None:
    own = {"outputs": [{"name": "own", "format": "png"}]}
    items = [
        source(),
        {**source(1), "recipe": own, "metadata": {"n": 1}, "webhook_url": "https://example.com/one"},
        {**source(2), "preset": "thumbnail"},
    ]
    batch = made(api, items=items)
    columns = "recipe->'outputs'->0->>'name', metadata, webhook_url, preset, preset_version"
    rows = api.query(f"SELECT {columns} FROM jobs WHERE batch_id = %s ORDER BY batch_index", batch["batch_id"])
    assert rows[0] == ("web", {}, None, None, None)
    assert rows[1] == ("own", {"n": 1}, "https://example.com/one", None, None)
    assert rows[2][3:] == ("thumbnail", 0)


def test_items_that_are_wrong_are_rejected_and_the_others_go_on(api: Api) -> None:
    wrong: list[tuple[Any, str]] = [
        ({}, "/source"),
        ("x", ""),
        ({"source": {"url": "ftp://example.com/"}}, "/source/url"),
        ({"source": {"upload_id": NOBODYS}}, "/source/upload_id"),
        ({"source": {"key": "s3://else/where.jpg"}}, "/source/key"),
        ({**source(), "recipe": {"outputs": []}}, "/recipe/outputs"),
        ({**source(), "recipe": RECIPE, "preset": "web"}, "/preset"),
        ({**source(), "preset": "nobodys"}, "/preset"),
        ({**source(), "webhook_url": "http://"}, "/webhook_url"),
        ({**source(), "destination": "s3://else/where"}, "/destination"),
        ({**source(), "metadata": {"a": {"b": 1}}}, "/metadata"),
        ({**source(), "metadata": {"a": "\x00"}}, "/metadata/a"),
        ({**source(), "priority": "low"}, "/priority"),
    ]
    mark = {"op": "watermark", "image": {"upload_id": NOBODYS}}
    watermark = {"outputs": [{"name": "web", "operations": [mark]}]}
    wrong.append(({**source(), "recipe": watermark}, "/recipe/outputs/0/operations/0/image/upload_id"))
    items = [source(), *(item for item, _ in wrong), source(1)]
    batch = made(api, items=items)
    assert [job["index"] for job in batch["jobs"]] == [0, len(items) - 1]
    assert (batch["total"], batch["counts"]["rejected"]) == (2, len(wrong))
    for (_, pointer), rejected in zip(wrong, batch["rejected"], strict=True):
        found = [error["pointer"] for error in rejected["errors"]]
        assert f"/items/{rejected['index']}{pointer}" in found
    assert [rejected["index"] for rejected in batch["rejected"]] == list(range(1, len(wrong) + 1))
    assert looked_at(api, batch)["rejected"] == batch["rejected"]
    assert api.query("SELECT count(*) FROM jobs WHERE batch_id = %s", batch["batch_id"]) == [(2,)]


WRONG: list[tuple[Any, str]] = [
    ([], ""),
    ({}, "/items"),
    ({"items": None, "recipe": RECIPE}, "/items"),
    ({"items": {}, "recipe": RECIPE}, "/items"),
    (batch_of(0), "/items"),
    (batch_of(1001), "/items"),
    ({"items": [source()]}, "/items/0/recipe"),
    (batch_of(1, recipe={"outputs": []}), "/recipe/outputs"),
    (batch_of(1, preset="web"), "/preset"),
    ({"items": [source()], "preset": "nobodys"}, "/preset"),
    (batch_of(1, destination="s3://else/where"), "/destination"),
    (batch_of(1, webhook_url="x"), "/webhook_url"),
    (batch_of(1, priority="urgent"), "/priority"),
    (batch_of(1, run_at="2999-01-01T00:00:00Z"), "/run_at"),
    (batch_of(1, metadata=[]), "/metadata"),
    (batch_of(1, project="other"), "/project"),
    (batch_of(1, items=[{}, {"source": {"upload_id": NOBODYS}}]), "/items/1/source/upload_id"),
    (batch_of(1, items=[{"source": {}}, 1]), "/items/1"),
]


def test_what_is_kept_of_a_wrong_item_is_short_however_long_its_keys_are(api: Api) -> None:
    answer = api.client.post("/api/v1/batches", json=batch_of(1, items=[source(), {"k" * 1_000_000: ["\x00"] * 20}]))
    assert answer.status_code == 202
    assert [len(rejected["errors"]) for rejected in answer.json()["rejected"]] == [10]
    assert len(answer.content) < 10_000
    assert looked_at(api, answer.json())["rejected"] == answer.json()["rejected"]


@pytest.mark.parametrize(
    ("body", "pointer"), WRONG, ids=[json.dumps(body)[:60] + str(n) for n, (body, _) in enumerate(WRONG)]
)
def test_batch_that_is_wrong_is_422_and_leaves_nothing(api: Api, body: Any, pointer: str) -> None:
    before = api.traces(), api.query("SELECT count(*) FROM batches")
    document = assert_problem(api.client.post("/api/v1/batches", json=body), 422)
    assert pointer in [error["pointer"] for error in document["errors"]]
    assert (api.traces(), api.query("SELECT count(*) FROM batches")) == before


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"items": [NaN]}', b"\xff", b""])
def test_body_that_is_no_json_is_400(api: Api, body: bytes) -> None:
    before = api.traces()
    answer = api.client.post("/api/v1/batches", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "malformed")
    assert api.traces() == before


def test_body_may_be_larger_than_that_of_a_job_and_has_a_limit_of_its_own(api: Api) -> None:
    large = batch_of(1, metadata={"a": "b"}, items=[{**source(n), "metadata": {"a": "x" * 7_000}} for n in range(300)])
    assert api.client.post("/api/v1/batches", json=large).status_code == 202
    too_large = {"items": [{**source(), "metadata": {"a": "x" * 10_000_000}}]}
    assert_problem(api.client.post("/api/v1/batches", json=too_large), 413, "too_large")


def test_thousand_items_are_one_batch(api: Api) -> None:
    batch = made(api, 1000)
    assert (batch["total"], len(batch["jobs"])) == (1000, 1000)
    turns = api.query("SELECT array_agg(turn ORDER BY batch_index) FROM jobs WHERE batch_id = %s", batch["batch_id"])
    first = turns[0][0][0]
    assert turns[0][0] == list(range(first, first + 1000))


def test_same_request_under_the_same_key_makes_one_batch(api: Api) -> None:
    headers = {"Idempotency-Key": "batch-of-today"}
    first, again = (api.client.post("/api/v1/batches", json=batch_of(3), headers=headers) for _ in range(2))
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.query("SELECT count(*) FROM jobs WHERE batch_id = %s", first.json()["batch_id"]) == [(3,)]


def test_batch_that_is_put_off_is_not_due(api: Api) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    batch = made(api, 2, run_at=tomorrow.isoformat())
    assert api.query("SELECT DISTINCT run_at FROM jobs WHERE batch_id = %s", batch["batch_id"]) == [(tomorrow,)]
    assert api.client.get(f"/api/v1/jobs/{batch['jobs'][0]['job_id']}").json()["run_at"]
    over = made(api, 1, run_at="2020-01-01T00:00:00Z")
    assert api.query("SELECT run_at FROM jobs WHERE batch_id = %s", over["batch_id"]) == [(None,)]


def test_backlog_counts_all_items_and_refuses_them_together(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_MAX_BACKLOG="10") as small:
        small.query("DELETE FROM jobs")
        assert small.client.post("/api/v1/batches", json=batch_of(10)).status_code == 202
        before = small.traces()
        answer = small.client.post("/api/v1/batches", json=batch_of(1))
        assert_problem(answer, 429, "queue_full")
        assert int(answer.headers["Retry-After"]) > 0
        assert small.traces() == before


def test_batches_are_listed_newest_first_page_by_page(api: Api) -> None:
    ids = [made(api, 1)["batch_id"] for _ in range(3)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while len(found) < 3:
        page = api.client.get("/api/v1/batches", params=query).json()
        assert all("rejected" not in batch and "jobs" not in batch for batch in page["data"])
        found += [batch["batch_id"] for batch in page["data"]]
        query["cursor"] = page["next_cursor"]
    assert found[:3] == ids[::-1]
    assert_problem(api.client.get("/api/v1/batches", params={"cursor": "x"}), 422)
    assert_problem(api.client.get("/api/v1/batches", params={"status": "failed"}), 422)


def test_counts_follow_the_jobs(api: Api) -> None:
    batch = made(api, 4, items=[source(n) for n in range(4)] + [{}])
    for job, end in zip(batch["jobs"], ("cancel", "processing"), strict=False):
        if end == "cancel":
            api.client.post(f"/api/v1/jobs/{job['job_id']}/cancel")
        else:
            lease = "lease_until = now() + interval '1 min'"
            api.query(f"UPDATE jobs SET status = 'processing', {lease} WHERE id = %s", job["job_id"])
    shown = looked_at(api, batch)
    counts = {"queued": 2, "processing": 1, "completed": 0, "failed": 0, "canceled": 1, "rejected": 1}
    assert (shown["counts"], shown["progress"], shown["status"]) == (counts, 25, "processing")
    listed = api.client.get("/api/v1/batches", params={"limit": 1}).json()["data"][0]
    assert listed == {key: value for key, value in shown.items() if key != "rejected"}


def test_canceled_batch_ends_with_all_its_jobs_and_stays_so(api: Api) -> None:
    batch = made(api, 3, webhook_url=HOOK)
    first = api.client.post(batch["urls"]["cancel"])
    shown = first.json()
    assert (first.status_code, shown["status"], shown["progress"], shown["urls"]["cancel"]) == (
        200,
        "canceled",
        100,
        None,
    )
    assert (shown["counts"]["canceled"], shown["counts"]["queued"]) == (3, 0)
    assert shown["finished_at"]
    again = api.client.post(batch["urls"]["cancel"])
    assert (again.status_code, again.json()) == (200, shown)
    query = "SELECT event_type, url, data->>'status' FROM deliveries WHERE event_id = %s"
    assert api.query(query, batch["batch_id"]) == [("batch.completed", HOOK, "canceled")]
    statuses = api.query("SELECT DISTINCT status FROM jobs WHERE batch_id = %s", batch["batch_id"])
    assert statuses == [("canceled",)]


def ended(api: Api, status: str = "completed", count: int = 2) -> dict[str, Any]:
    """A batch whose rows say that all its jobs ended so."""
    batch = made(api, count)
    api.query("UPDATE jobs SET status = %s, stage = NULL WHERE batch_id = %s", status, batch["batch_id"])
    change = f"UPDATE batches SET {status} = total, status = %s, finished_at = now() WHERE id = %s"
    api.query(change, status, batch["batch_id"])
    return batch


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_batch_that_has_ended_otherwise_is_not_canceled(api: Api, status: str) -> None:
    batch = ended(api, status)
    before = api.traces()
    assert status in assert_problem(api.client.post(batch["urls"]["cancel"]), 409, "conflict")["detail"]
    assert api.traces() == before


def test_retry_makes_a_batch_of_what_failed(api: Api) -> None:
    batch = made(api, 3, metadata={"n": 1}, webhook_url=HOOK, priority="high")
    jobs = [job["job_id"] for job in batch["jobs"]]
    api.client.post(batch["urls"]["cancel"])
    api.query("UPDATE jobs SET status = 'completed' WHERE id = %s", jobs[0])
    api.query("UPDATE jobs SET status = 'failed' WHERE id = %s", jobs[2])
    answer = api.client.post(f"{batch['urls']['self']}/retry", headers={"X-Request-ID": "again-2"})
    again = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, again["urls"]["self"])
    assert (again["retry_of"], again["status"], again["total"]) == (batch["batch_id"], "processing", 2)
    assert (again["metadata"], again["webhook_url"], again["priority"]) == ({"n": 1}, HOOK, "high")
    assert [job["index"] for job in again["jobs"]] == [1, 2]
    for job, origin in zip(again["jobs"], jobs[1:], strict=True):
        shown = api.client.get(f"/api/v1/jobs/{job['job_id']}").json()
        assert (shown["retry_of"], shown["status"], shown["batch_id"]) == (origin, "queued", again["batch_id"])
    assert api.query("SELECT request_id FROM batches WHERE id = %s", again["batch_id"]) == [("again-2",)]


def test_retry_takes_a_key(api: Api) -> None:
    batch = made(api, 1)
    api.client.post(batch["urls"]["cancel"])
    url, headers = f"{batch['urls']['self']}/retry", {"Idempotency-Key": "once more"}
    first, again = (api.client.post(url, headers=headers) for _ in range(2))
    assert (first.status_code, again.content) == (202, first.content)


def test_retry_of_what_runs_or_went_well_is_409_and_makes_nothing(api: Api) -> None:
    for batch in (made(api, 1), ended(api)):
        before = api.traces()
        assert_problem(api.client.post(f"{batch['urls']['self']}/retry"), 409, "conflict")
        assert api.traces() == before


@pytest.mark.parametrize("name", ["x", NOBODYS, "%00", "'--"])
@pytest.mark.parametrize("action", ["", "/cancel", "/retry"])
def test_batch_that_is_none_is_404(api: Api, action: str, name: str) -> None:
    method = "POST" if action else "GET"
    assert_problem(api.client.request(method, f"/api/v1/batches/{name}{action}"), 404, "not_found")
    wrong = api.client.request("PUT", f"/api/v1/batches/{name}{action}")
    assert_problem(wrong, 405)
    assert wrong.headers["Allow"]


@pytest.mark.parametrize("action", ["", "/cancel", "/retry"])
def test_another_projects_batch_is_404_and_stays_as_it_is(api: Api, action: str) -> None:
    batch = made(api, 1)
    api.query("UPDATE batches SET project = 'others' WHERE id = %s", batch["batch_id"])
    before = api.traces(), api.query("SELECT status FROM jobs WHERE batch_id = %s", batch["batch_id"])
    method = "POST" if action else "GET"
    assert_problem(api.client.request(method, batch["urls"]["self"] + action), 404, "not_found")
    assert (api.traces(), api.query("SELECT status FROM jobs WHERE batch_id = %s", batch["batch_id"])) == before
    assert batch["batch_id"] not in api.client.get("/api/v1/batches").text


def test_key_for_presets_only_makes_batches_of_presets_only(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_AUTH="on") as guarded:
        key = made_key(guarded, "held", presets_only=True)
        headers = bearing(key)
        before = guarded.traces(), guarded.query("SELECT count(*) FROM batches")
        for body in (batch_of(2), {"items": [source(), {**source(1), "recipe": RECIPE}], "preset": "web"}):
            answer = guarded.client.post("/api/v1/batches", json=body, headers=headers)
            assert_problem(answer, 403, "preset_required")
        assert (guarded.traces(), guarded.query("SELECT count(*) FROM batches")) == before
        named = {"items": [source(), {**source(1), "preset": "avatar@0"}], "preset": "web"}
        batch = guarded.client.post("/api/v1/batches", json=named, headers=headers).json()
        query = "SELECT preset, preset_version, project FROM jobs WHERE batch_id = %s ORDER BY batch_index"
        assert guarded.query(query, batch["batch_id"]) == [("web", 0, "held"), ("avatar", 0, "held")]
        keys = "SELECT b.api_key_id = j.api_key_id FROM batches b JOIN jobs j ON j.batch_id = b.id WHERE b.id = %s"
        assert guarded.query(keys, batch["batch_id"]) == [(True,), (True,)]


def test_preset_of_an_item_is_the_one_of_its_version(api: Api) -> None:
    for width in (10, 20):
        recipe = {"outputs": [{"name": "a", "operations": [{"op": "resize", "width": width}]}]}
        api.client.put("/api/v1/presets/sized", json={"recipe": recipe}).raise_for_status()
    items = [source(), {**source(), "preset": "sized@1"}, {**source(), "preset": "sized@3"}]
    batch = made(api, items=items, recipe=None, preset="sized")
    assert [rejected["index"] for rejected in batch["rejected"]] == [2]
    width = "recipe->'outputs'->0->'operations'->0->'width'"
    query = f"SELECT preset_version, {width} FROM jobs WHERE batch_id = %s ORDER BY batch_index"
    assert api.query(query, batch["batch_id"]) == [(2, 20), (1, 10)]
