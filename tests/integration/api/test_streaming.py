"""Large uploads: constant memory, and the same bytes come out of the storage."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.api.resuming import begin
from tests.integration.api.running import Api, running_api, wait_until

CHUNK = bytes(range(256)) * 1024
SIZE = 300 * 1024 * 1024
ROOM = 60 * 1024 * 1024
"""Bytes that the process may grow by: the parts of 5 MB on their way, and the allocator's slack."""


@pytest.fixture(scope="module")
def roomy(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    storage: Path = tmp_path_factory.mktemp("roomy") / "objects"
    with running_api(postgres_url, storage, PIXMILL_MAX_SOURCE_BYTES=str(SIZE)) as running:
        # A disk takes its time, and the last byte is answered when all are in one object.
        running.client.timeout = httpx.Timeout(120)
        yield running


def measured(api: Api, before: int, peak: list[int], form: bool) -> Iterator[bytes]:
    if form:
        yield b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    for index in range(SIZE // len(CHUNK)):
        if index % 50 == 0:
            peak[0] = max(peak[0], api.resident_bytes() - before)
        yield CHUNK
    if form:
        yield b"\r\n--frontier--\r\n"


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_upload_of_300_megabytes_takes_constant_memory(roomy: Api, form: bool) -> None:
    small = roomy.client.post("/api/v1/uploads", content=CHUNK, headers={"Content-Type": "image/png"})
    assert small.status_code == 201
    peak, before = [0], roomy.resident_bytes()
    content_type = "multipart/form-data; boundary=frontier" if form else "image/png"
    answer = roomy.client.post(
        "/api/v1/uploads", content=measured(roomy, before, peak, form), headers={"Content-Type": content_type}
    )
    assert answer.status_code == 201, answer.text
    document = answer.json()
    stored = roomy.storage / "uploads" / document["upload_id"]
    with stored.open("rb") as file:
        assert document["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
    assert document["bytes"] == stored.stat().st_size == SIZE
    stored.unlink()
    assert peak[0] < ROOM


def test_large_upload_that_is_aborted_leaves_nothing(roomy: Api) -> None:
    before = roomy.traces()

    def broken() -> Iterator[bytes]:
        yield from [CHUNK] * 80  # 20 MB: several parts are written already
        raise ConnectionAbortedError("the client is gone")

    with pytest.raises(ConnectionAbortedError):
        roomy.client.post("/api/v1/uploads", content=broken(), headers={"Content-Type": "image/png"})
    metric = 'route="/api/v1/uploads",status="400"'
    wait_until(lambda: metric in roomy.client.get("/metrics").text, "the aborted upload has an outcome")
    assert roomy.traces() == before


def test_resumable_upload_of_300_megabytes_takes_constant_memory(roomy: Api) -> None:
    begin(roomy, len(CHUNK)).patch(0, CHUNK)
    peak, before = [0], roomy.resident_bytes()
    upload = begin(roomy, SIZE)
    assert upload.patch(0, measured(roomy, before, peak, form=False)).status_code == 204
    stored = roomy.storage / roomy.query("SELECT key FROM uploads WHERE id = %s", upload.id)[0][0]
    row = upload.stored()
    assert row is not None
    with stored.open("rb") as file:
        assert row[:2] == (hashlib.file_digest(file, "sha256").hexdigest(), SIZE)
    stored.unlink()
    assert not list((roomy.storage / "parts").rglob("*-*-*-*-*/*"))
    assert max(peak[0], roomy.resident_bytes() - before) < ROOM
