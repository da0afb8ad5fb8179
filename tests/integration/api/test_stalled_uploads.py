"""Uploads whose bytes stop: answered after the time-out, and of a resumable one what came is kept."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.integration.api.resuming import Tus, begin, open_patch
from tests.integration.api.running import Api, running_api, wait_until

PART = 65_536
CAME = PART + 4_464
DATA = bytes(range(256)) * 1_200


@pytest.fixture(scope="module")
def hasty(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """It waits no longer than a second for the next bytes."""
    storage: Path = tmp_path_factory.mktemp("stalled") / "objects"
    changes = {"PIXMILL_TUS_PART_BYTES": str(PART), "PIXMILL_UPLOAD_IDLE_TIMEOUT": "1"}
    with running_api(postgres_url, storage, **changes) as running:
        yield running


def stopped(method: str, url: str, headers: dict[str, str]) -> bytes:
    """All that the connection of a request says that sends three bytes of nine."""
    parts = urlsplit(url)
    lines = {"Host": parts.netloc, **headers, "Content-Length": "9"}
    head = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60) as connection:
        return answer_to(connection, f"{head}\r\n".encode() + b"abc")


def answer_to(connection: socket.socket, sent: bytes) -> bytes:
    """All that comes until the end of the connection, which is cut off if something comes after that second."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        connection.sendall(sent)
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            answer += part
    return answer


def after_a_stop(api: Api) -> Tus:
    upload = begin(api, len(DATA))
    with open_patch(upload, 0, len(DATA)) as connection:
        answer = answer_to(connection, DATA[:CAME]).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert '"code":"body_stalled"' in answer
    return upload


def test_resumable_upload_that_stops_is_408_and_what_came_is_kept(hasty: Api) -> None:
    # Where a process stood still for that second, fewer bytes had come.
    uploads = (after_a_stop(hasty) for _ in range(10))
    upload = next(found for found in uploads if found.offset() == CAME)
    assert [size for _, size, _ in upload.parts()] == [PART, CAME - PART]
    wait_until(lambda: upload.stored() or goes_on(upload), "the rest is taken", 60)
    assert upload.content() == DATA


def goes_on(upload: Tus) -> bool:
    """False where it stopped once more."""
    offset = upload.offset()
    try:
        return upload.patch(offset, DATA[offset:]).status_code == 204
    except httpx.TransportError:
        return False


def test_raw_upload_that_stops_is_408_and_leaves_nothing(hasty: Api) -> None:
    before = hasty.traces()
    answer = stopped("POST", f"{hasty.url}/api/v1/uploads", {"Content-Type": "image/png"})
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert hasty.traces() == before


def test_presigned_upload_that_stops_is_408_and_not_complete(hasty: Api) -> None:
    upload = hasty.client.post("/api/v1/uploads/presign", json={"media_type": "image/webp"}).json()
    answer = stopped(upload["method"], upload["url"], upload["headers"])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_stalled"' in answer
    assert hasty.client.post(upload["urls"]["complete"]).status_code == 409
