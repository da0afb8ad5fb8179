"""Outputs of a finished job: the job's document, bytes, ranges, signed links, and who may not have them."""

import datetime
import hashlib
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest
from tests.integration.api.running import PLAIN, Api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.storage.signing import FileUrlSigner

get = partial(httpx.get, timeout=60, verify=PLAIN)

PIXELS = bytes(range(256)) * 40
SECRET = "a key for tests only, 0123456789"


@dataclass
class Finished:
    job_id: str
    storage_key: str
    url: str
    document: dict[str, Any]


@pytest.fixture(scope="module")
def finished(api: Api) -> Finished:
    """A job whose work somebody did."""
    job = api.client.post("/api/v1/process", json={"image_url": "https://example.com/a.jpg"}).json()
    rendition = str(uuid.uuid4())
    key = f"renditions/ab/{rendition}.webp"
    api.query(
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width,"
        " height, bytes, sha256) VALUES (%s, %s, %s, 's', 'r', 'e', 'webp', 'image/webp', 8, 6, %s, %s)",
        *(rendition, rendition, key, len(PIXELS), hashlib.sha256(PIXELS).hexdigest()),
    )
    api.query(
        "INSERT INTO outputs (job_id, name, position, rendition_id) VALUES (%s, 'web', 0, %s)", job["job_id"], rendition
    )
    api.query(
        "UPDATE jobs SET status = 'completed', stage = NULL, progress = 100, attempts = 1, started_at = now(),"
        " finished_at = now(), source_key = 'sources/secret' WHERE id = %s",
        job["job_id"],
    )
    (api.storage / key).parent.mkdir(parents=True)
    (api.storage / key).write_bytes(PIXELS)
    document = api.client.get(f"/api/v1/jobs/{job['job_id']}").json()
    return Finished(job["job_id"], key, document["outputs"][0]["url"], document)


def test_completed_job_shows_its_outputs_and_no_key_of_its_source(finished: Finished) -> None:
    document = finished.document
    assert (document["status"], document["stage"], document["progress"]) == ("completed", None, 100)
    output = document["outputs"][0]
    assert document["result"] == output
    assert (output["name"], output["format"], output["width"], output["height"]) == ("web", "webp", 8, 6)
    assert output["sha256"] == hashlib.sha256(PIXELS).hexdigest()
    assert document["finished_at"].endswith("Z")
    assert datetime.datetime.fromisoformat(output["expires_at"]) > datetime.datetime.now(datetime.UTC)
    assert "sources/secret" not in str(document)


def test_signed_link_opens_without_a_key_as_a_picture_and_nothing_else(finished: Finished) -> None:
    answer = get(finished.url)
    assert (answer.status_code, answer.content) == (200, PIXELS)
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"] == 'inline; filename="web.webp"'
    assert "private" in answer.headers["Cache-Control"]


def both(api: Api, finished: Finished) -> list[str]:
    return [finished.url, f"{api.url}/api/v1/jobs/{finished.job_id}/outputs/web"]


def test_output_of_a_job_is_its_bytes(api: Api, finished: Finished) -> None:
    answer = get(both(api, finished)[1])
    assert (answer.status_code, answer.content) == (200, PIXELS)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(PIXELS).hexdigest()}"'


@pytest.mark.parametrize(
    ("wanted", "status", "expected", "content_range"),
    [
        ("bytes=0-9", 206, PIXELS[:10], "bytes 0-9/10240"),
        ("bytes=10230-", 206, PIXELS[10230:], "bytes 10230-10239/10240"),
        ("bytes=-5", 206, PIXELS[-5:], "bytes 10235-10239/10240"),
        ("bytes=0-999999", 206, PIXELS, "bytes 0-10239/10240"),
        ("bytes=5-1", 200, PIXELS, None),
        ("bytes=0-1,3-4", 200, PIXELS, None),
        ("lines=1-2", 200, PIXELS, None),
    ],
)
def test_range_gives_that_part(
    api: Api, finished: Finished, wanted: str, status: int, expected: bytes, content_range: str | None
) -> None:
    for url in both(api, finished):
        answer = get(url, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (status, expected)
        assert answer.headers.get("Content-Range") == content_range


def test_range_after_the_end_is_416_with_the_size(api: Api, finished: Finished) -> None:
    for url in both(api, finished):
        answer = get(url, headers={"Range": "bytes=10240-"})
        assert_problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["Content-Range"] == "bytes */10240"


def test_conditional_requests_are_answered(api: Api, finished: Finished) -> None:
    for url in both(api, finished):
        etag = get(url).headers["ETag"]
        assert get(url, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
        assert get(url, headers={"If-None-Match": '"x"'}).status_code == 200
        assert get(url, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
        assert get(url, headers={"Range": "bytes=0-1", "If-Range": '"x"'}).status_code == 200


def test_head_tells_the_size_and_sends_no_bytes(api: Api, finished: Finished) -> None:
    for url in both(api, finished):
        answer = httpx.head(url, timeout=60, verify=PLAIN)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(PIXELS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expires", "abc"),
        ("expires", ""),
        ("expires", "99999999999"),
        ("expires", "1e99"),
        ("expires", "\u00b2"),
        ("type", "text/html"),
        ("name", "x.html"),
        ("name", "a\r\nSet-Cookie: b=c"),
        ("signature", ""),
        ("signature", "0" * 64),
        ("signature", "\u00e9\x00"),
    ],
)
def test_tampered_link_is_403(finished: Finished, name: str, value: str) -> None:
    parts = urlsplit(finished.url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()} | {name: value}
    answer = get(parts._replace(query=urlencode(query)).geturl())
    assert_problem(answer, 403, "forbidden")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("missing", ["expires", "type", "name", "signature"])
def test_link_with_a_part_missing_is_403(finished: Finished, missing: str) -> None:
    parts = urlsplit(finished.url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items() if key != missing}
    assert_problem(get(parts._replace(query=urlencode(query)).geturl()), 403)


@pytest.mark.parametrize("key", ["uploads/x", "%2e%2e/%2e%2e/etc/passwd", "", "%00", "/etc/passwd", "renditions"])
def test_link_for_another_key_is_403(finished: Finished, api: Api, key: str) -> None:
    assert_problem(get(f"{api.url}/files/{key}?{urlsplit(finished.url).query}"), 403)


def signed(api: Api, key: str, seconds: int) -> str:
    expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return f"{api.url}/files/{quote(key)}?{FileUrlSigner([SECRET]).query(key, expires_at, 'image/webp', 'web.webp')}"


def test_expired_link_is_403(api: Api, finished: Finished) -> None:
    assert get(signed(api, finished.storage_key, 60)).status_code == 200
    assert_problem(get(signed(api, finished.storage_key, -1)), 403, "forbidden")


@pytest.mark.parametrize("key", ["renditions/gone.webp", "renditions"])
def test_genuine_link_to_what_is_gone_is_404(api: Api, key: str) -> None:
    assert_problem(get(signed(api, key, 60)), 404, "not_found")


def test_unexpected_error_is_a_500_that_tells_nothing(api: Api) -> None:
    """No link of ours has such a key: the storage refuses it with an error that nobody expects."""
    document = assert_problem(get(signed(api, "a//b", 60)), 500, "internal")
    assert "a//b" not in document["detail"]
    assert api.client.get("/health").status_code == 200


def test_unknown_output_and_unfinished_job_are_404(api: Api, finished: Finished) -> None:
    assert_problem(get(f"{api.url}/api/v1/jobs/{finished.job_id}/outputs/nope"), 404)
    waiting = api.client.post("/api/v1/process", json={"image_url": "https://example.com/a.jpg"}).json()
    assert_problem(get(f"{api.url}/api/v1/jobs/{waiting['job_id']}/outputs/result"), 404)
