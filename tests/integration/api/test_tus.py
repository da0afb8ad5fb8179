"""tus 1.0: what the protocol says, step by step."""

import hashlib
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from tests.integration.api.resuming import BASE, STREAM, VERSION, Tus, begin, checksum, encoded, metadata, open_patch
from tests.integration.api.running import Api, running_api, wait_until
from tests.integration.api.test_bad_input import NOBODYS, assert_problem

PART = 65_536
LIMIT = 1_000_000
DATA = bytes(range(256)) * 1_200
"""Four parts and a bit."""


@pytest.fixture(scope="module")
def api(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With small parts."""
    storage: Path = tmp_path_factory.mktemp("tus") / "objects"
    changes = {"PIXMILL_MAX_SOURCE_BYTES": str(LIMIT), "PIXMILL_TUS_PART_BYTES": str(PART)}
    with running_api(postgres_url, storage, **changes) as running:
        yield running


def left_over(api: Api) -> list[str]:
    return [name for name in api.objects() if not name.startswith("uploads/")]


def assert_whole(upload: Tus, data: bytes) -> None:
    row = upload.stored()
    assert row is not None
    assert row[:3] == (hashlib.sha256(data).hexdigest(), len(data), "image/png")
    assert upload.content() == data
    assert upload.parts() == []


def test_options_tell_what_is_spoken(api: Api) -> None:
    for path in (BASE, f"{BASE}/{NOBODYS}"):
        answer = api.client.options(path)
        assert (answer.status_code, answer.content) == (204, b"")
        told = {name: answer.headers[name] for name in ("Tus-Resumable", "Tus-Version", "Tus-Max-Size")}
        assert told == {"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Max-Size": str(LIMIT)}
        extensions = set(answer.headers["Tus-Extension"].split(","))
        assert extensions == {"creation", "creation-with-upload", "termination", "checksum", "expiration"}
        assert {"sha1", "sha256"} <= set(answer.headers["Tus-Checksum-Algorithm"].split(","))


def test_upload_in_several_requests_becomes_the_same_bytes_under_the_same_id(api: Api) -> None:
    before = left_over(api)
    upload = begin(api, len(DATA), metadata(filename="ä.png", filetype="image/png"))
    answer = upload.head()
    assert answer.headers["Upload-Offset"] == "0"
    assert answer.headers["Upload-Length"] == str(len(DATA))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Upload-Metadata"] == metadata(filename="ä.png", filetype="image/png")["Upload-Metadata"]
    assert parsedate_to_datetime(answer.headers["Upload-Expires"]).tzinfo is not None
    first, second = 100_000, 170_001
    sent = upload.patch(0, DATA[:first])
    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(first))
    assert [size for _, size, _ in upload.parts()] == [PART, first - PART]
    assert upload.stored() is None
    assert upload.patch(first, DATA[first:second]).headers["Upload-Offset"] == str(second)
    assert upload.offset() == second
    assert upload.patch(second, DATA[second:]).headers["Upload-Offset"] == str(len(DATA))
    assert_whole(upload, DATA)
    complete = upload.head().headers
    assert complete["Upload-Offset"] == complete["Upload-Length"] == str(len(DATA))
    assert complete["Upload-Metadata"] == metadata(filename="ä.png", filetype="image/png")["Upload-Metadata"]
    assert left_over(api) == before
    job = api.client.post(
        "/api/v1/jobs", json={"source": {"upload_id": upload.id}, "recipe": {"outputs": [{"name": "web"}]}}
    )
    assert job.status_code == 202, job.text


def test_every_answer_tells_the_version_errors_too(api: Api) -> None:
    upload = begin(api, 5)
    answers = [
        api.client.post(BASE),
        api.client.get(BASE),
        upload.head(),
        upload.patch(3, b"x"),
        api.client.patch(upload.url),
        api.client.head(f"{BASE}/{NOBODYS}", headers=VERSION),
    ]
    assert [answer.status_code for answer in answers] == [412, 405, 200, 409, 412, 404]
    assert {answer.headers["Tus-Resumable"] for answer in answers} == {"1.0.0"}
    assert answers[0].headers["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.0, 1.0.0", ""], ids=["none", "old", "two", "empty"])
def test_another_version_is_refused_and_nothing_happens(api: Api, version: str | None) -> None:
    before = api.query("SELECT count(*) FROM upload_sessions")
    headers = {"Upload-Length": "5"} | ({} if version is None else {"Tus-Resumable": version})
    assert_problem(api.client.post(BASE, headers=headers), 412, "tus_version")
    assert api.query("SELECT count(*) FROM upload_sessions") == before


def test_first_bytes_may_come_with_the_creation(api: Api) -> None:
    given = {**STREAM, **metadata(filetype="image/png"), "Upload-Length": str(len(DATA))}
    answer = api.client.post(BASE, content=DATA[:70_000], headers=given)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "70000")
    upload = Tus(api, answer.headers["Location"])
    assert upload.patch(70_000, DATA[70_000:]).status_code == 204
    assert_whole(upload, DATA)
    whole = api.client.post(BASE, content=DATA, headers=given)
    assert (whole.status_code, whole.headers["Upload-Offset"]) == (201, str(len(DATA)))
    assert_whole(Tus(api, whole.headers["Location"]), DATA)


def test_upload_of_nothing_is_complete_at_once(api: Api) -> None:
    upload = begin(api, 0)
    assert_whole(upload, b"")
    assert upload.offset() == 0
    assert upload.patch(0, b"").status_code == 204


def test_creation_is_answered_once_per_key(api: Api) -> None:
    headers = {**VERSION, "Upload-Length": "5", "Idempotency-Key": str(uuid.uuid4())}
    first = api.client.post(BASE, headers=headers)
    again = api.client.post(BASE, headers=headers)
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Upload-Offset"] == "0"
    assert_problem(api.client.post(BASE, headers={**headers, "Upload-Length": "6"}), 422, "idempotency_key_reused")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_bytes_that_are_not_those_of_their_checksum_are_not_kept(api: Api, algorithm: str) -> None:
    upload = begin(api, len(DATA))
    objects = api.objects()
    refused = upload.patch(0, DATA[:200_000], checksum(algorithm, DATA[:200_001]))
    assert_problem(refused, 460, "checksum_mismatch")
    assert upload.offset() == 0
    assert upload.parts() == []
    assert api.objects() == objects
    assert upload.patch(0, DATA[:200_000], checksum(algorithm, DATA[:200_000])).status_code == 204
    assert upload.patch(200_000, DATA[200_000:], checksum(algorithm, DATA[200_000:])).status_code == 204
    assert_whole(upload, DATA)


@pytest.mark.parametrize(
    "value",
    ["", "sha1", "sha1 !!!!", "sha1 " + encoded(b"short"), "crc32 AAAAAA==", "sha256  " + encoded(b"x" * 32)],
    ids=["empty", "no digest", "no base64", "short", "unknown", "two blanks"],
)
def test_checksum_of_the_wrong_form_is_400(api: Api, value: str) -> None:
    upload = begin(api, 5)
    assert_problem(upload.patch(0, b"hello", {"Upload-Checksum": value}), 400, "malformed")
    assert upload.offset() == 0


def test_wrong_offset_is_409_and_changes_nothing(api: Api) -> None:
    upload = begin(api, len(DATA))
    upload.patch(0, DATA[:10])
    for offset in (0, 9, 11, len(DATA), 10**17):
        assert_problem(upload.patch(offset, DATA[10:20]), 409, "offset_conflict")
    assert upload.offset() == 10


def test_more_bytes_than_announced_are_413(api: Api) -> None:
    upload = begin(api, 100_000)
    assert_problem(upload.patch(0, DATA[:100_001]), 413, "too_large")
    assert upload.offset() == 0
    # Without a length of its own the body is found out when it is too long; what was stored by then stays.
    assert_problem(upload.patch(0, iter([DATA[:50_000]] * 3)), 413, "too_large")
    offset = upload.offset()
    assert offset in (0, PART)
    assert upload.patch(offset, (DATA[:50_000] * 2)[offset:]).status_code == 204
    assert_whole(upload, DATA[:50_000] * 2)
    assert_problem(upload.patch(100_000, b"x"), 413, "too_large")
    assert_whole(upload, DATA[:50_000] * 2)


def test_upload_above_the_largest_size_is_413_and_none_is_begun(api: Api) -> None:
    before = api.query("SELECT count(*) FROM upload_sessions")
    headers = {**VERSION, "Upload-Length": str(LIMIT + 1)}
    assert_problem(api.client.post(BASE, headers=headers), 413, "too_large")
    assert api.query("SELECT count(*) FROM upload_sessions") == before
    assert begin(api, LIMIT).offset() == 0


@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "image/png", "text/html"])
def test_other_content_types_are_415(api: Api, content_type: str | None) -> None:
    upload = begin(api, 5)
    headers = {**VERSION, "Upload-Offset": "0"} | ({} if content_type is None else {"Content-Type": content_type})
    assert_problem(api.client.patch(upload.url, content=b"hello", headers=headers), 415, "unsupported_media_type")
    given = {**headers, "Upload-Length": "5"}
    assert_problem(api.client.post(BASE, content=b"hello", headers=given), 415, "unsupported_media_type")
    assert upload.offset() == 0


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "abc", "٣", "1" * 19, "0x10", "+5"])
def test_numbers_that_are_none_are_400(api: Api, value: str | None) -> None:
    upload = begin(api, 5)
    before = api.query("SELECT count(*) FROM upload_sessions")
    given = {} if value is None else {"Upload-Length": value.encode()}
    assert_problem(api.client.post(BASE, headers={**VERSION, **given}), 400, "malformed")
    given = {} if value is None else {"Upload-Offset": value.encode()}
    assert_problem(api.client.patch(upload.url, content=b"x", headers={**STREAM, **given}), 400, "malformed")
    assert api.query("SELECT count(*) FROM upload_sessions") == before
    assert upload.offset() == 0


@pytest.mark.parametrize(
    "value",
    [
        *("filename !!!", "filename abc", ",", "filename,filename", "a,,b", "a  b", "ä YQ=="),
        f"filename {encoded('a' * 256)}",
        f"filename {encoded('../../etc/passwd')}",
        f"filename {encoded('..')}",
        f"filename {encoded('C:' + chr(92) + 'a.png')}",
        f"filename {encoded('a' + chr(0) + '.png')}",
        f"filename {encoded('a' + chr(10) + 'b')}",
        f"filename {encoded(b'xff' + bytes([255]))}",
        f"filetype {encoded(bytes([255]))}",
        f"key {encoded('x' * 4000)}",
    ],
    ids=[str(number) for number in range(16)],
)
def test_metadata_that_is_garbage_is_400_and_nothing_is_begun(api: Api, value: str) -> None:
    before = api.query("SELECT count(*) FROM upload_sessions")
    headers = {**VERSION, "Upload-Length": "5", "Upload-Metadata": value.encode()}
    assert_problem(api.client.post(BASE, headers=headers), 400, "malformed")
    assert api.query("SELECT count(*) FROM upload_sessions") == before


def test_media_types_that_are_no_pictures_are_415(api: Api) -> None:
    headers = {**VERSION, "Upload-Length": "5", **metadata(filetype="text/html")}
    assert_problem(api.client.post(BASE, headers=headers), 415, "unsupported_media_type")


def test_length_that_is_to_come_later_is_refused(api: Api) -> None:
    assert_problem(api.client.post(BASE, headers={**VERSION, "Upload-Defer-Length": "1"}), 400, "malformed")


def test_unknown_uploads_are_404(api: Api) -> None:
    for found in (NOBODYS, "..", "x", NOBODYS + "0"):
        upload = Tus(api, f"{BASE}/{found}" if found != ".." else f"{BASE}/%2e%2e")
        assert upload.head().status_code == 404
        assert_problem(upload.patch(0, b"x"), 404, "not_found")
        assert_problem(api.client.delete(upload.url, headers=VERSION), 404, "not_found")


def test_terminated_upload_is_gone_with_its_parts(api: Api) -> None:
    before = left_over(api)
    upload = begin(api, len(DATA))
    upload.patch(0, DATA[:200_000])
    assert len(left_over(api)) == len(before) + 4
    answer = api.client.delete(upload.url, headers=VERSION)
    assert (answer.status_code, answer.content) == (204, b"")
    assert left_over(api) == before
    assert upload.head().status_code == 404
    assert_problem(upload.patch(200_000, DATA[200_000:]), 404)


def test_complete_upload_can_be_terminated_until_a_job_uses_it(api: Api) -> None:
    unused, used = begin(api, 5), begin(api, 5)
    for upload in (unused, used):
        assert upload.patch(0, b"hello").status_code == 204
    recipe = {"outputs": [{"name": "web"}]}
    job = api.client.post("/api/v1/jobs", json={"source": {"upload_id": used.id}, "recipe": recipe})
    assert job.status_code == 202
    assert api.client.delete(unused.url, headers=VERSION).status_code == 204
    assert unused.stored() is None
    assert not [name for name in api.objects() if unused.id in name]
    assert_problem(api.client.delete(used.url, headers=VERSION), 409, "conflict")
    assert used.content() == b"hello"


def test_method_may_stand_in_a_header(api: Api) -> None:
    upload = begin(api, 5)
    override = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"}
    assert api.client.post(upload.url, content=b"hello", headers={**STREAM, **override}).status_code == 204
    assert_whole(upload, b"hello")
    gone = api.client.post(upload.url, headers={**VERSION, "X-HTTP-Method-Override": "DELETE"})
    assert gone.status_code == 204
    refused = api.client.post(upload.url, headers=VERSION)
    assert_problem(refused, 405)
    assert set(refused.headers["Allow"].split(", ")) == {"HEAD", "PATCH", "DELETE", "OPTIONS"}


def test_what_came_before_the_connection_broke_is_kept(api: Api) -> None:
    upload = begin(api, len(DATA))
    with open_patch(upload, 0, len(DATA)) as connection:
        connection.sendall(DATA[:150_000])
        wait_until(lambda: len(upload.parts()) == 2, "two parts are safe", 60)
    wait_until(lambda: upload.offset() == 150_000, "the rest is safe too", 60)
    wait_until(lambda: upload.patch(150_000, DATA[150_000:]).status_code == 204, "the lock is given back", 60)
    assert_whole(upload, DATA)


def test_with_a_checksum_nothing_of_a_body_that_stops_is_kept(api: Api) -> None:
    upload = begin(api, len(DATA))
    objects = api.objects()
    locked = "SELECT locked_by IS NOT NULL FROM upload_sessions WHERE id = %s"

    def stopping() -> Iterator[bytes]:
        yield DATA[:150_000]
        # Or it would seem to have ended before it has begun.
        wait_until(lambda: api.query(locked, upload.id) == [(True,)], "the request has begun", 60)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        upload.patch(0, stopping(), checksum("sha1", DATA))
    wait_until(lambda: api.query(locked, upload.id) == [(False,)], "the request has ended", 60)
    assert upload.offset() == 0
    assert api.objects() == objects
