"""A bucket that does not work is an error that may pass, within a bounded time, and never a missing object."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.integration.storage.conftest import Place, opened
from tests.waiting import eventually

from pixmill_shared.storage import ObjectNotFound, ObjectStore, StorageUnavailable

MIB = 1024 * 1024
TIMEOUT = 2
PATIENCE = 60
"""Seconds for what shall be over long before."""


async def once() -> AsyncIterator[bytes]:
    yield b"1"


OPERATIONS: dict[str, Callable[[ObjectStore], Any]] = {
    "put": lambda store: store.put("a", b"1", "image/webp"),
    "put_stream": lambda store: store.put_stream("a", iter([b"1"]), "image/webp"),
    "put_stream_async": lambda store: asyncio.run(store.put_stream_async("a", once(), "image/webp")),
    "get": lambda store: store.get("a"),
    "stream": lambda store: list(store.stream("a", 0, 1)),
    "head": lambda store: store.head("a"),
    "exists": lambda store: store.exists("a"),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: list(store.list("")),
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def altered(place: Place, **changes: Any) -> ObjectStore:
    return opened(type(place.settings)(**{**place.settings.model_dump(), "timeout": PATIENCE, **changes}))


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[socket.socket]]]:
    """A TCP server that does one thing with each connection; its URL and the connections."""
    connected: list[socket.socket] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connected.append(connection)
                with contextlib.suppress(OSError):  # the client went away
                    answer(connection)
            for connection in connected:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", connected
        finally:
            ended.set()
            thread.join()


def _says_nothing(_: socket.socket) -> None:
    """Keeps the connection."""


def _says_503(connection: socket.socket) -> None:
    connection.settimeout(PATIENCE)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)


@each_operation
def test_a_server_that_is_down_is_unavailable_at_once(bucket: Place, operation: Callable[[ObjectStore], Any]) -> None:
    store = altered(bucket, aws_endpoint_url="http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(StorageUnavailable) as caught:
        operation(store)
    assert time.monotonic() - started < PATIENCE / 2
    assert "127.0.0.1" not in caught.value.detail  # the person who sent the job sees this


@each_operation
def test_a_server_that_says_nothing_is_given_up_in_time(bucket: Place, operation: Callable[[ObjectStore], Any]) -> None:
    with server(_says_nothing) as (url, connected):
        store = altered(bucket, aws_endpoint_url=url, timeout=TIMEOUT)
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            operation(store)
        # Without a time-out of ours, obstore's own of 30 s would end it.
        assert time.monotonic() - started < 2 * TIMEOUT + 20
        # Who stood still gave up as soon as it went on, perhaps before the server had a look.
        eventually(lambda: connected, within=PATIENCE)


@each_operation
def test_a_server_that_is_overloaded_is_asked_three_times_at_most(
    bucket: Place, operation: Callable[[ObjectStore], Any]
) -> None:
    with server(_says_503) as (url, connected):
        store = altered(bucket, aws_endpoint_url=url)
        with pytest.raises(StorageUnavailable):
            operation(store)
        assert 1 < len(connected) <= 3


@each_operation
def test_wrong_credentials_are_unavailable(bucket: Place, operation: Callable[[ObjectStore], Any]) -> None:
    bucket.store.put("a", b"1", "image/webp")
    for changes in ({"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "nobody"}):
        with pytest.raises(StorageUnavailable):
            operation(altered(bucket, **changes))
    assert bucket.store.get("a") == b"1"


@each_operation
def test_a_missing_bucket_is_unavailable_and_not_a_missing_object(
    bucket: Place, operation: Callable[[ObjectStore], Any]
) -> None:
    # Or a misspelt bucket would fail every job for good.
    with pytest.raises(StorageUnavailable):
        operation(altered(bucket, url="s3://no-such-bucket/prefix"))


def test_a_missing_object_is_still_not_found(bucket: Place) -> None:
    for name in ("get", "head", "stream"):
        with pytest.raises(ObjectNotFound):
            OPERATIONS[name](bucket.store)
    assert OPERATIONS["exists"](bucket.store) is False


class _DropsUploads:
    """Answers the beginning of a multipart upload, then nothing but closed connections."""

    BEGUN = (
        b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
        b"<UploadId>1</UploadId></InitiateMultipartUploadResult>"
    )

    def __call__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        request = connection.recv(65536)
        if request.startswith(b"POST") and b"uploads" in request.split(b"\r\n")[0]:
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.BEGUN)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + self.BEGUN)
        connection.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_goes_away_during_an_upload_is_unavailable_and_no_error_of_the_source(
    bucket: Place, asynchronous: bool
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * MIB

    async def async_chunks() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    def upload(store: ObjectStore) -> None:
        if asynchronous:
            asyncio.run(store.put_stream_async("a", async_chunks(), "image/webp"))
        else:
            store.put_stream("a", chunks(), "image/webp")

    with server(_DropsUploads()) as (url, connected), pytest.raises(StorageUnavailable):
        upload(altered(bucket, aws_endpoint_url=url))
    assert len(connected) > 1
