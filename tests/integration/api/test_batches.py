"""Batches over HTTP: made in one transaction, counted, canceled, made again, deleted."""

import json
from typing import Any

import pytest
from tests.integration.api.running import Api
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


@pytest.mark.parametrize(
    ("body", "pointer"), WRONG, ids=[json.dumps(body)[:60] + str(n) for n, (body, _) in enumerate(WRONG)]
)
def test_batch_that_is_wrong_is_422_and_leaves_nothing(api: Api, body: Any, pointer: str) -> None:
    before = api.traces(), api.query("SELECT count(*) FROM batches")
    document = assert_problem(api.client.post("/api/v1/batches", json=body), 422)
    assert pointer in [error["pointer"] for error in document["errors"]]
    assert (api.traces(), api.query("SELECT count(*) FROM batches")) == before
