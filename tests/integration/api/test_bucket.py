"""The API on a bucket instead of a directory: a real S3 server."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.api.running import Api, ready, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem
from tests.s3 import S3

PIXELS = bytes(range(256)) * 40
IMAGE = {"Content-Type": "image/webp"}


@pytest.fixture(scope="module")
def on_bucket(postgres_url: str, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    unused: Path = tmp_path_factory.mktemp("bucket") / "unused"
    with running_api(postgres_url, unused, **s3.variables("api")) as running:
        yield running
        assert running.objects() == []


def test_output_is_a_redirect_to_a_link_that_needs_no_key(on_bucket: Api) -> None:
    upload = on_bucket.client.post("/api/v1/uploads", content=PIXELS, headers=IMAGE).json()
    job = on_bucket.client.post("/api/v1/process", json={"image_url": "https://example.com/a.jpg"}).json()
    rendition = str(uuid.uuid4())
    on_bucket.query(
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width,"
        " height, bytes, sha256) VALUES (%s, %s, %s, 's', 'r', 'e', 'webp', 'image/webp', 8, 6, %s, %s)",
        *(rendition, rendition, f"uploads/{upload['upload_id']}", upload["bytes"], upload["sha256"]),
    )
    on_bucket.query(
        "INSERT INTO outputs (job_id, name, position, rendition_id) VALUES (%s, 'web', 0, %s)", job["job_id"], rendition
    )
    on_bucket.query("UPDATE jobs SET status = 'completed', stage = NULL WHERE id = %s", job["job_id"])
    answer = on_bucket.client.get(f"/api/v1/jobs/{job['job_id']}/outputs/web")
    assert answer.status_code == 302
    picture = httpx.get(answer.headers["Location"], timeout=60)
    assert (picture.status_code, picture.content) == (200, PIXELS)
    assert picture.headers["Content-Type"] == "image/webp"
    shown = on_bucket.client.get(f"/api/v1/jobs/{job['job_id']}").json()["outputs"][0]["url"]
    assert httpx.get(shown, timeout=60).content == PIXELS


def test_large_upload_that_is_aborted_leaves_no_unfinished_parts(on_bucket: Api, s3: S3) -> None:
    def broken() -> Iterator[bytes]:
        yield from [PIXELS] * 1500  # 15 MB: parts are written already
        raise ConnectionAbortedError("the client is gone")

    before = on_bucket.traces()
    # Other tests share the server, and some of them are killed half-way on purpose.
    others = set(s3.unfinished_uploads())
    with pytest.raises(ConnectionAbortedError):
        on_bucket.client.post("/api/v1/uploads", content=broken(), headers=IMAGE)
    metric = 'route="/api/v1/uploads",status="400"'
    wait_until(lambda: metric in on_bucket.client.get("/metrics").text, "the aborted upload has an outcome")
    assert set(s3.unfinished_uploads()) <= others
    assert on_bucket.traces() == before


def test_link_without_a_genuine_signature_opens_nothing_of_a_bucket(on_bucket: Api) -> None:
    assert_problem(httpx.get(f"{on_bucket.url}/files/uploads/x?expires=1&type=a&name=b&signature=c", timeout=60), 403)


def test_storage_is_ready(on_bucket: Api) -> None:
    ready(on_bucket, storage="ok")
