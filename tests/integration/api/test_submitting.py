"""A submission is a committed row and an answer; the broker has no part in it."""

import uuid

import httpx
import pytest
from tests.integration.api.running import Api, ready

PICTURE = b"\xff\xd8 not really a picture, which the API does not judge"
RECIPE = {"outputs": [{"name": "web", "operations": [{"op": "resize", "width": 20}], "format": "webp"}]}
KEYS = {
    *(
        "job_id",
        "kind",
        "generation",
        "status",
        "stage",
        "priority",
        "progress",
        "source",
        "destination",
        "preset",
        "outputs",
        "result",
        "error",
    ),
    *("attempts", "queue_position", "batch_id", "batch_index", "pipeline_id", "metadata", "created_at", "started_at"),
    *("finished_at", "urls", "retry_of", "run_at"),
}


def upload(api: Api, data: bytes = PICTURE) -> str:
    answer = api.client.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["upload_id"])


def row_of(api: Api, job_id: str) -> dict[str, object]:
    columns = ("status", "stage", "queue", "priority", "project", "source_key", "recipe", "request_id", "webhook_url")
    values = api.query(f"SELECT {', '.join(columns)} FROM jobs WHERE id = %s", job_id)[0]
    return dict(zip(columns, values, strict=True))


def test_process_by_url_answers_202_and_leaves_a_queued_row_while_no_broker_runs(api: Api) -> None:
    body = {"image_url": "https://example.com/a.jpg", "webhook_url": "https://example.com/hook", "metadata": {"n": 1}}
    answer = api.client.post("/api/v1/process", json=body, headers={"X-Request-ID": "order-17"})
    job = answer.json()
    assert answer.status_code == 202
    assert job.keys() == KEYS
    assert (job["status"], job["stage"], job["source"]) == ("queued", "fetch", {"url": "https://example.com/a.jpg"})
    assert job["metadata"] == {"n": 1}
    assert answer.headers["Location"] == job["urls"]["self"] == f"{api.url}/api/v1/jobs/{job['job_id']}"
    assert int(answer.headers["Retry-After"]) > 0
    row = row_of(api, job["job_id"])
    operation = {"op": "resize", "width": 800, "height": 600, "mode": "fit", "enlarge": False}
    assert row["recipe"]["outputs"][0]["operations"] == [operation]  # type: ignore[index]
    assert (row["queue"], row["project"], row["request_id"]) == ("fetch", "default", "order-17")
    assert row["webhook_url"] == "https://example.com/hook"


@pytest.mark.parametrize(
    ("priority", "queue"), [("high", "imaging.high"), ("normal", "imaging"), ("low", "imaging.low")]
)
def test_job_from_an_upload_waits_on_the_queue_of_its_priority(api: Api, priority: str, queue: str) -> None:
    upload_id = upload(api)
    body = {"source": {"upload_id": upload_id}, "recipe": RECIPE, "priority": priority}
    job = api.client.post("/api/v1/jobs", json=body).json()
    assert (job["stage"], job["priority"]) == ("render", priority)
    assert job["source"].keys() == {"upload_id", "bytes", "sha256"}
    row = row_of(api, job["job_id"])
    assert (row["queue"], row["source_key"]) == (queue, f"uploads/{upload_id}")


def test_process_takes_a_form_with_fields_before_and_after_the_file(api: Api) -> None:
    boundary = "frontier"
    parts = [
        '--frontier\r\nContent-Disposition: form-data; name="width"\r\n\r\n100\r\n',
        '--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\npixels\r\n",
        '--frontier\r\nContent-Disposition: form-data; name="filter"\r\n\r\nblur\r\n',
        '--frontier\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a": "b"}\r\n--frontier--\r\n',
    ]
    answer = api.client.post(
        "/api/v1/process",
        content="".join(parts).encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert job["metadata"] == {"a": "b"}
    recipe = row_of(api, job["job_id"])["recipe"]
    assert recipe["outputs"][0]["operations"][0]["width"] == 100  # type: ignore[index]
    assert recipe["outputs"][0]["operations"][1]["name"] == "blur"  # type: ignore[index]
    assert (api.storage / "uploads" / job["source"]["upload_id"]).read_bytes() == b"pixels"


def test_job_that_is_looked_at_is_the_job_that_was_answered(api: Api) -> None:
    created = api.client.post("/api/v1/process", json={"image_url": "https://example.com/same.jpg"}).json()
    shown = api.client.get(f"/api/v1/jobs/{created['job_id']}")
    assert shown.status_code == 200
    assert shown.json() == created


def test_queue_position_counts_what_comes_first_and_is_null_above_a_thousand(api: Api) -> None:
    api.query("DELETE FROM jobs")
    body = {"image_url": "https://example.com/q.jpg"}
    assert [api.client.post("/api/v1/process", json=body).json()["queue_position"] for _ in range(3)] == [0, 1, 2]
    urgent = api.client.post("/api/v1/process", json={**body, "priority": "high"}).json()
    assert urgent["queue_position"] == 0
    api.query(
        "INSERT INTO jobs (id, project, stage, queue, priority, source, recipe) "
        "SELECT gen_random_uuid(), 'default', 'fetch', 'fetch', 0, '{}', '{}' FROM generate_series(1, 1001)"
    )
    last = api.client.post("/api/v1/process", json=body).json()
    assert last["queue_position"] is None
    api.query("DELETE FROM jobs")


def test_list_pages_through_all_jobs_newest_first(api: Api) -> None:
    api.query("DELETE FROM jobs")
    made = [
        api.client.post("/api/v1/process", json={"image_url": f"https://example.com/{n}.jpg"}).json()["job_id"]
        for n in range(5)
    ]
    api.query("UPDATE jobs SET status = 'failed', stage = NULL WHERE id = %s", made[0])
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = api.client.get("/api/v1/jobs", params=query).json()
        found += [job["job_id"] for job in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if not cursor:
            break
    assert found == made[::-1]
    failed = api.client.get("/api/v1/jobs", params={"status": "failed"}).json()["data"]
    assert [job["job_id"] for job in failed] == made[:1]


def test_upload_without_bytes_is_refused_and_nothing_of_it_kept(api: Api) -> None:
    before = api.traces()
    for answer, pointer in (
        (api.client.post("/api/v1/uploads", content=b"", headers={"Content-Type": "image/png"}), ""),
        (api.client.post("/api/v1/uploads"), ""),
        (api.client.post("/api/v1/uploads", files={"file": ("a.png", b"", "image/png")}), "/file"),
        (api.client.post("/api/v1/process", files={"file": ("a.png", b"", "image/png")}), "/file"),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert api.traces() == before


def test_request_id_is_taken_if_sane_and_else_minted(api: Api) -> None:
    assert api.client.get("/health", headers={"X-Request-ID": "abc-1.2_3"}).headers["X-Request-ID"] == "abc-1.2_3"
    for insane in ("a b", "x" * 129, "<script>", ""):
        minted = api.client.get("/health", headers={"X-Request-ID": insane}).headers["X-Request-ID"]
        assert uuid.UUID(minted).version == 7


def test_health_needs_no_broker_and_readiness_does(api: Api, redis_url: str) -> None:
    assert api.client.get("/health").json() == {"status": "healthy"}
    told = ready(api, database="ok", broker="unavailable", storage="ok")
    assert (told.status_code, sorted(told.json()["checks"])) == (503, ["broker", "database", "storage"])


def test_metrics_count_requests_by_template(api: Api) -> None:
    api.client.get(f"/api/v1/jobs/{uuid.uuid4()}")
    text = api.client.get("/metrics").text
    assert 'pixmill_http_requests_total{method="GET",route="/api/v1/jobs/{job_id}",status="404"}' in text


def test_documentation_is_served_without_the_internet(api: Api) -> None:
    page = httpx.get(f"{api.url}/", follow_redirects=True, timeout=60)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    document = api.client.get("/openapi.json").json()
    assert {"/api/v1/uploads", "/api/v1/process", "/api/v1/jobs", "/files/{key}"} <= document["paths"].keys()
