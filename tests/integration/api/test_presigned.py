"""Uploads past the API: into a real bucket, and into a directory by the API's own signed URL."""

import datetime
import hashlib
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from tests.integration.api.running import PLAIN, Api, running_api, wait_until
from tests.integration.api.test_bad_input import NOBODYS, assert_problem
from tests.s3 import ACCESS_KEY, BUCKET, S3, SECRET_KEY

PRESIGN = "/api/v1/uploads/presign"
LIMIT = 1_000_000
PIXELS = bytes(range(256)) * 1_000
SHA256 = hashlib.sha256(PIXELS).hexdigest()


@pytest.fixture(scope="module")
def on_directory(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    storage: Path = tmp_path_factory.mktemp("presigned") / "objects"
    with running_api(postgres_url, storage, PIXMILL_MAX_SOURCE_BYTES=str(LIMIT)) as running:
        yield running


@pytest.fixture(scope="module")
def on_bucket(postgres_url: str, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    unused: Path = tmp_path_factory.mktemp("presigned") / "unused"
    with running_api(postgres_url, unused, PIXMILL_MAX_SOURCE_BYTES=str(LIMIT), **s3.variables("presigned")) as running:
        yield running
        assert running.objects() == []


@pytest.fixture(params=["directory", "bucket"])
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.getfixturevalue(f"on_{request.param}")
    return found


@pytest.fixture
def bucket(s3: S3) -> Any:
    """boto3, as an application of the user's has it."""
    return boto3.client(
        "s3",
        endpoint_url=s3.root,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def presigned(api: Api, **wanted: Any) -> dict[str, Any]:
    answer = api.client.post(PRESIGN, json={"media_type": "image/webp", **wanted})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def send(upload: dict[str, Any], content: Any, **headers: str) -> httpx.Response:
    given = {**upload["headers"], **headers}
    with httpx.Client(headers=given, trust_env=False, timeout=60, verify=PLAIN) as client:
        return client.request(upload["method"], upload["url"], content=content)


def is_closed(upload: dict[str, Any]) -> bool:
    return send(upload, PIXELS).status_code == 403


def complete(api: Api, upload: dict[str, Any]) -> httpx.Response:
    return api.client.post(upload["urls"]["complete"])


def assert_nothing_is_left(api: Api, upload: dict[str, Any]) -> None:
    upload_id = upload["upload_id"]
    for table in ("uploads", "upload_sessions"):
        assert api.query(f"SELECT count(*) FROM {table} WHERE id = %s", upload_id) == [(0,)], table
    assert not [name for name in api.objects() if upload_id in name]
    assert_problem(complete(api, upload), 404, "not_found")


def objects_of(bucket: Any, upload: dict[str, Any]) -> list[str]:
    found = bucket.list_objects_v2(Bucket=BUCKET, Prefix="presigned/").get("Contents", [])
    return [entry["Key"] for entry in found if upload["upload_id"] in entry["Key"]]


def test_upload_past_the_api_is_usable_when_it_is_complete(api: Api) -> None:
    upload = presigned(api, bytes=len(PIXELS), sha256=SHA256)
    assert (upload["method"], upload["max_bytes"]) == ("PUT", len(PIXELS))
    expires_at = datetime.datetime.fromisoformat(upload["expires_at"])
    assert expires_at > datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=23)
    job = {"source": {"upload_id": upload["upload_id"]}, "recipe": {"outputs": [{"name": "web"}]}}
    assert_problem(complete(api, upload), 409, "conflict")
    assert send(upload, PIXELS).is_success
    assert_problem(api.client.post("/api/v1/jobs", json=job), 422)
    answer = complete(api, upload)
    assert (answer.status_code, answer.json()) == (
        200,
        {"upload_id": upload["upload_id"], "bytes": len(PIXELS), "sha256": SHA256, "media_type": "image/webp"},
    )
    again = complete(api, upload)
    assert (again.status_code, again.json()) == (200, answer.json())
    assert api.query("SELECT count(*) FROM upload_sessions WHERE id = %s", upload["upload_id"]) == [(0,)]
    assert api.client.post("/api/v1/jobs", json=job).status_code == 202


def test_boto3_sees_one_object_of_a_complete_upload_and_a_later_put_does_not_change_it(
    on_bucket: Api, bucket: Any
) -> None:
    upload = presigned(on_bucket)
    assert upload["max_bytes"] == LIMIT
    assert send(upload, PIXELS).status_code == 200
    assert complete(on_bucket, upload).status_code == 200
    key = on_bucket.query("SELECT key FROM uploads WHERE id = %s", upload["upload_id"])[0][0]
    assert objects_of(bucket, upload) == [f"presigned/{key}"]
    # The URL is good until it expires.
    assert send(upload, b"something else, and more of it" * 1_000).status_code == 200
    assert complete(on_bucket, upload).json()["sha256"] == SHA256
    stored = bucket.get_object(Bucket=BUCKET, Key=f"presigned/{key}")
    assert (stored["Body"].read(), stored["ContentType"]) == (PIXELS, "image/webp")
    late = [name for name in objects_of(bucket, upload) if name != f"presigned/{key}"]
    assert late == [f"presigned/incoming/{upload['upload_id']}"]


def test_a_put_after_completion_is_refused_by_the_api_and_changes_nothing(on_directory: Api) -> None:
    upload = presigned(on_directory)
    assert send(upload, PIXELS).status_code == 204
    assert complete(on_directory, upload).status_code == 200
    assert_problem(send(upload, b"something else"), 404, "not_found")
    key = on_directory.query("SELECT key FROM uploads WHERE id = %s", upload["upload_id"])[0][0]
    assert (on_directory.storage / key).read_bytes() == PIXELS
    assert [name for name in on_directory.objects() if upload["upload_id"] in name] == [key]


def test_the_last_put_before_completion_counts(api: Api) -> None:
    upload = presigned(api)
    assert send(upload, b"first").is_success
    assert send(upload, PIXELS).is_success
    assert complete(api, upload).json()["sha256"] == SHA256


@pytest.mark.parametrize(
    ("wanted", "sent", "status"),
    [
        ({"bytes": len(PIXELS)}, PIXELS[:-1], 422),
        ({"bytes": 0}, b"", 200),
        ({"sha256": SHA256}, PIXELS[::-1], 422),
        ({"sha256": SHA256, "bytes": len(PIXELS)}, PIXELS[::-1], 422),
    ],
    ids=["too small", "nothing, as announced", "other bytes", "other bytes of that size"],
)
def test_what_is_not_what_was_announced_is_refused(api: Api, wanted: dict[str, Any], sent: bytes, status: int) -> None:
    upload = presigned(api, **wanted)
    assert send(upload, sent).is_success
    answer = complete(api, upload)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert_problem(answer, status, "invalid")
        assert_nothing_is_left(api, upload)


@pytest.mark.parametrize("wanted", [{}, {"bytes": 1_000}], ids=["limit", "announced"])
def test_too_many_bytes_in_a_bucket_are_refused_and_deleted(
    on_bucket: Api, bucket: Any, wanted: dict[str, Any]
) -> None:
    upload = presigned(on_bucket, **wanted)
    assert send(upload, b"x" * (upload["max_bytes"] + 1)).status_code == 200
    assert_problem(complete(on_bucket, upload), 413, "too_large")
    assert objects_of(bucket, upload) == []
    assert_nothing_is_left(on_bucket, upload)


def test_too_many_bytes_are_refused_by_the_api_while_they_come(on_directory: Api) -> None:
    upload = presigned(on_directory, bytes=100)
    assert_problem(send(upload, b"x" * 101), 413, "too_large")
    assert_problem(send(upload, iter([b"x" * 60] * 2)), 413, "too_large")
    assert_problem(complete(on_directory, upload), 409, "conflict")
    assert send(upload, b"x" * 100).status_code == 204
    assert complete(on_directory, upload).status_code == 200


def test_another_media_type_than_announced_is_refused(on_bucket: Api, on_directory: Api, bucket: Any) -> None:
    upload = presigned(on_bucket)
    assert send(upload, PIXELS, **{"Content-Type": "text/html"}).status_code == 200
    assert_problem(complete(on_bucket, upload), 422, "invalid")
    assert objects_of(bucket, upload) == []
    assert_nothing_is_left(on_bucket, upload)
    upload = presigned(on_directory)
    assert_problem(send(upload, PIXELS, **{"Content-Type": "text/html"}), 415, "unsupported_media_type")


def test_expired_upload_is_410_and_its_url_is_closed(api: Api) -> None:
    upload = presigned(api)
    assert send(upload, PIXELS).is_success
    api.query("UPDATE upload_sessions SET expires_at = now() WHERE id = %s", upload["upload_id"])
    assert_problem(complete(api, upload), 410, "gone")
    assert api.query("SELECT count(*) FROM uploads WHERE id = %s", upload["upload_id"]) == [(0,)]
    if "/content?" in upload["url"]:
        assert_problem(send(upload, PIXELS), 410, "gone")


def test_url_that_has_expired_takes_nothing(
    postgres_url: str, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> None:
    storage: Path = tmp_path_factory.mktemp("short") / "objects"
    for variables in ({}, s3.variables("short")):
        with running_api(postgres_url, storage, PIXMILL_UPLOAD_SESSION_TTL="1", **variables) as api:
            upload = presigned(api)
            # In its last second the API counts by the database's clock, and its URL by the whole second.
            wait_until(partial(is_closed, upload), "its URL is closed", 60)
            assert_problem(complete(api, upload), 410, "gone")


def test_tampered_urls_of_the_api_are_403(on_directory: Api) -> None:
    upload = presigned(on_directory)
    path, _, query = upload["url"].partition("?")
    expires, signature = (pair.partition("=")[2] for pair in query.split("&"))
    other = path.replace(upload["upload_id"], NOBODYS)
    for forged in (
        f"{path}?expires={int(expires) + 1}&signature={signature}",
        f"{path}?expires={expires}&signature={signature[::-1]}",
        f"{path}?expires=ä&signature=ü",
        f"{path}?expires=&signature=",
        f"{other}?{query}",
        f"{path.replace(upload['upload_id'], 'x')}?{query}",
    ):
        assert_problem(httpx.put(forged, content=PIXELS, headers=upload["headers"], timeout=60), 403, "forbidden")
    assert_problem(httpx.put(path, content=PIXELS, headers=upload["headers"], timeout=60), 422, "invalid")
    assert_problem(complete(on_directory, upload), 409)
    # Nor does it open anything.
    assert httpx.get(upload["url"], timeout=60).status_code == 405
    assert_problem(httpx.get(f"{on_directory.url}/files/incoming/{upload['upload_id']}?{query}", timeout=60), 403)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/media_type"),
        ({"media_type": "text/html"}, 422, "/media_type"),
        ({"media_type": "image/"}, 422, "/media_type"),
        ({"media_type": "image/png\r\nX: y"}, 422, "/media_type"),
        ({"media_type": 5}, 422, "/media_type"),
        ({"media_type": "image/png", "bytes": -1}, 422, "/bytes"),
        ({"media_type": "image/png", "bytes": 1.5}, 422, "/bytes"),
        ({"media_type": "image/png", "bytes": "5"}, 422, "/bytes"),
        ({"media_type": "image/png", "bytes": True}, 422, "/bytes"),
        ({"media_type": "image/png", "bytes": LIMIT + 1}, 413, None),
        ({"media_type": "image/png", "bytes": 10**30}, 422, "/bytes"),
        ({"media_type": "image/png", "sha256": "abc"}, 422, "/sha256"),
        ({"media_type": "image/png", "sha256": "G" * 64}, 422, "/sha256"),
        ({"media_type": "image/png", "key": "../x"}, 422, "/key"),
        ([], 422, ""),
    ],
    ids=[str(number) for number in range(15)],
)
def test_wrong_announcements_are_refused(on_directory: Api, body: Any, status: int, pointer: str | None) -> None:
    before = on_directory.query("SELECT count(*) FROM upload_sessions")
    document = assert_problem(on_directory.client.post(PRESIGN, json=body), status)
    if pointer is not None:
        assert pointer in [error["pointer"] for error in document["errors"]]
    assert on_directory.query("SELECT count(*) FROM upload_sessions") == before


def test_presigning_is_answered_once_per_key_and_the_url_is_not_kept_in_the_clear(on_directory: Api) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = on_directory.client.post(PRESIGN, json={"media_type": "image/png"}, headers=key)
    again = on_directory.client.post(PRESIGN, json={"media_type": "image/png"}, headers=key)
    assert first.json() == again.json()
    kept = on_directory.query("SELECT body FROM idempotency_records WHERE key = %s", key["Idempotency-Key"])
    assert b"signature" not in bytes(kept[0][0])


def test_unknown_and_strange_uploads_cannot_be_completed(on_directory: Api) -> None:
    raw = on_directory.client.post("/api/v1/uploads", content=PIXELS, headers={"Content-Type": "image/png"}).json()
    # One that came another way is complete: the answer is what it is.
    assert on_directory.client.post(f"/api/v1/uploads/{raw['upload_id']}/complete").json() == raw
    for found in (NOBODYS, "x", "tus"):
        assert_problem(on_directory.client.post(f"/api/v1/uploads/{found}/complete"), 404, "not_found")


def test_projects_have_only_so_many_unfinished_uploads(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    storage: Path = tmp_path_factory.mktemp("few") / "objects"
    with running_api(postgres_url, storage, PIXMILL_MAX_UPLOAD_SESSIONS="3") as api:
        api.query("DELETE FROM upload_sessions")
        uploads = [presigned(api) for _ in range(2)]
        assert api.client.post(
            "/api/v1/uploads/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
        ).is_success
        assert_problem(api.client.post(PRESIGN, json={"media_type": "image/png"}), 409, "conflict")
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
        assert_problem(api.client.post("/api/v1/uploads/tus", headers=headers), 409, "conflict")
        assert send(uploads[0], PIXELS).is_success
        assert complete(api, uploads[0]).status_code == 200
        presigned(api)
        api.query("UPDATE upload_sessions SET expires_at = now()")
        presigned(api)
