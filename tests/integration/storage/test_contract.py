"""What every store promises, held by a directory and by a bucket alike."""

import asyncio
import datetime
import hashlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.storage.conftest import Place

from pixmill_shared.storage import InvalidKey, ObjectNotFound, ObjectStore, StorageUnavailable

MIB = 1024 * 1024


class Interrupted(Exception):
    """Of the source's own making."""


def chunks(count: int, failure: BaseException | None = None) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * MIB
    if failure:
        raise failure


async def async_chunks(count: int, failure: BaseException | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks(count, failure):
        await asyncio.sleep(0)
        yield chunk


def names(store: ObjectStore, prefix: str) -> set[str]:
    return {info.key for info in store.list(prefix)}


def test_what_is_put_can_be_read(store: ObjectStore) -> None:
    store.put("a/b.webp", b"0123456789", "image/webp")
    assert store.get("a/b.webp") == b"0123456789"
    assert b"".join(store.stream("a/b.webp", 0, 10)) == b"0123456789"
    assert b"".join(store.stream("a/b.webp", 3, 7)) == b"3456"
    assert b"".join(store.stream("a/b.webp", 4, 4)) == b""
    assert store.exists("a/b.webp")
    info = store.head("a/b.webp")
    assert (info.key, info.size) == ("a/b.webp", 10)
    assert abs(datetime.datetime.now(datetime.UTC) - info.modified) < datetime.timedelta(minutes=1)


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    store.put("a", b"the first, which is longer", "image/webp")
    store.put("a", b"second", "image/webp")
    assert store.get("a") == b"second"
    store.put_stream("a", iter([b"thi", b"rd"]), "image/webp")
    assert store.get("a") == b"third"
    assert names(store, "") == {"a"}


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("put", b"", "image/webp")
    store.put_stream("stream", iter([]), "image/webp")
    store.put_stream("chunk", iter([b""]), "image/webp")
    asyncio.run(store.put_stream_async("async", async_chunks(0), "image/webp"))
    for key in ("put", "stream", "chunk", "async"):
        assert store.head(key).size == 0, key
        assert store.get(key) == b"", key
        assert list(store.stream(key, 0, 0)) == [], key
    assert names(store, "") == {"put", "stream", "chunk", "async"}


def test_many_chunks_arrive_whole_and_in_order(store: ObjectStore) -> None:
    expected = hashlib.sha256(b"".join(chunks(30))).hexdigest()
    store.put_stream("sync", chunks(30), "image/webp")
    asyncio.run(store.put_stream_async("async", async_chunks(30), "image/webp"))
    store.put("bytes", b"".join(chunks(30)), "image/webp")
    for key in ("sync", "async", "bytes"):
        assert store.head(key).size == 30 * MIB
        assert hashlib.sha256(store.get(key)).hexdigest() == expected, key
        parts = list(store.stream(key, 0, 30 * MIB))
        assert hashlib.sha256(b"".join(parts)).hexdigest() == expected, key
        assert max(map(len, parts)) <= 4 * MIB


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    assert not store.exists("nothing")
    for read in (store.get, store.head, lambda key: list(store.stream(key, 0, 5))):
        with pytest.raises(ObjectNotFound):
            read("nothing")
    store.put("below/here", b"1", "image/webp")
    assert not store.exists("below")


def test_delete_removes_one_object_and_needs_none(store: ObjectStore) -> None:
    store.put("a/1", b"1", "image/webp")
    store.put("a/2", b"2", "image/webp")
    store.delete("a/1")
    store.delete("a/1")
    store.delete("never/was")
    assert names(store, "a") == {"a/2"}
    assert not store.exists("a/1")


def test_list_goes_by_whole_segments(store: ObjectStore) -> None:
    for key in ("a/1", "a/deep/er/2", "ab/3", "b/4"):
        store.put(key, key.encode(), "image/webp")
    assert names(store, "a") == names(store, "a/") == {"a/1", "a/deep/er/2"}
    assert names(store, "a/deep") == {"a/deep/er/2"}
    assert names(store, "") == {"a/1", "a/deep/er/2", "ab/3", "b/4"}
    assert names(store, "c") == set()
    assert {info.size for info in store.list("ab")} == {4}


def test_list_goes_on_beyond_one_page(store: ObjectStore) -> None:
    expected = {f"many/{number:04}" for number in range(1010)}
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: store.put(key, b"", "image/webp"), expected))
    assert names(store, "many") == expected


@pytest.mark.parametrize("key", ["ü/ñ.webp", "a b?c&d=%20+#x", "*~'\"", "日本/写真.jpg", "x" * 200])
def test_odd_but_allowed_names_come_back_as_they_are(store: ObjectStore, key: str) -> None:
    store.put(key, b"odd", "image/webp")
    assert store.get(key) == b"odd"
    assert names(store, "") == {key}
    store.delete(key)
    assert names(store, "") == set()


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../../b", "nul\0", "a\\b", "", "x" * 5000])
def test_a_bad_key_is_refused_by_every_method(store: ObjectStore, key: str) -> None:
    moment = datetime.datetime.now(datetime.UTC)

    for refused in (
        lambda: store.put(key, b"1", "image/webp"),
        lambda: store.put_stream(key, iter([b"1"]), "image/webp"),
        lambda: asyncio.run(store.put_stream_async(key, async_chunks(1), "image/webp")),
        lambda: store.get(key),
        lambda: store.stream(key, 0, 1),
        lambda: store.head(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.list(key or "//"),
        lambda: store.signed_url(key, moment, "image/webp", "name"),
    ):
        with pytest.raises(InvalidKey):
            refused()
    assert names(store, "") == set()


@pytest.mark.parametrize("count", [0, 1, 13])
def test_an_error_of_the_source_comes_out_as_it_is_and_leaves_nothing(place: Place, count: int) -> None:
    failure = Interrupted("the client went away")
    with pytest.raises(Interrupted) as caught:
        place.store.put_stream("a/b", chunks(count, failure), "image/webp")
    assert caught.value is failure
    with pytest.raises(Interrupted) as caught:
        asyncio.run(place.store.put_stream_async("a/c", async_chunks(count, failure), "image/webp"))
    assert caught.value is failure
    assert names(place.store, "") == set()
    assert place.leftovers() == []


@pytest.mark.parametrize("failure", [TimeoutError("stalled"), FileNotFoundError("gone"), ValueError("odd")])
def test_not_even_an_error_like_the_storages_own_is_taken_for_one(place: Place, failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught:
        place.store.put_stream("a", chunks(6, failure), "image/webp")
    assert caught.value is failure
    with pytest.raises(type(failure)) as caught:
        asyncio.run(place.store.put_stream_async("a", async_chunks(6, failure), "image/webp"))
    assert caught.value is failure
    assert names(place.store, "") == set()


def test_an_error_of_the_source_keeps_the_old_object(place: Place) -> None:
    place.store.put("a", b"old", "image/webp")
    with pytest.raises(Interrupted):
        place.store.put_stream("a", chunks(7, Interrupted()), "image/webp")
    assert place.store.get("a") == b"old"
    assert place.leftovers() == []


@pytest.mark.parametrize("exit_by", [KeyboardInterrupt, SystemExit])
def test_even_an_exit_out_of_the_source_comes_out(place: Place, exit_by: type[BaseException]) -> None:
    with pytest.raises(exit_by):
        place.store.put_stream("a", chunks(6, exit_by()), "image/webp")
    assert names(place.store, "") == set()
    assert place.leftovers() == []


@pytest.mark.parametrize("count", [0, 1, 13])
def test_a_cancelled_write_leaves_nothing(place: Place, count: int) -> None:
    stuck = asyncio.Event()

    async def stuck_after() -> AsyncIterator[bytes]:
        async for chunk in async_chunks(count):
            yield chunk
        stuck.set()
        await asyncio.sleep(600)

    async def cancelled() -> None:
        write = asyncio.ensure_future(place.store.put_stream_async("a/b", stuck_after(), "image/webp"))
        await asyncio.wait_for(stuck.wait(), 60)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(write, 60)
        # Already now, with nothing left to do in the background.
        assert names(place.store, "") == set()
        assert place.leftovers() == []

    asyncio.run(cancelled())


def test_a_write_that_is_cancelled_at_any_moment_is_whole_or_absent(place: Place) -> None:
    async def run() -> None:
        for number in range(40):
            key = f"moments/{number}"
            write = asyncio.ensure_future(place.store.put_stream_async(key, async_chunks(6), "image/webp"))
            await asyncio.sleep(number * 0.002)
            write.cancel()
            try:
                await write
            except asyncio.CancelledError:
                assert not place.store.exists(key)
            else:
                assert place.store.head(key).size == 6 * MIB

    asyncio.run(run())
    assert place.leftovers() == []


def test_a_reader_never_sees_half_an_object(store: ObjectStore) -> None:
    """Each version is one byte, repeated, and has a length of its own."""
    sizes = {value: (6 + value) * MIB for value in range(4)}
    store.put("a", bytes([0]) * sizes[0], "image/webp")
    done = threading.Event()
    turns = reads = streams = 0

    def write() -> None:
        nonlocal turns
        try:
            while turns < 24 or (reads < 4 and turns < 1000):
                turns += 1
                value = turns % 4
                store.put_stream("a", iter([bytes([value]) * MIB] * (6 + value)), "image/webp")
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        try:
            seen = store.get("a")
            assert len(seen) == sizes[seen[0]]
            assert seen == seen[:1] * len(seen)
            reads += 1
            streamed = b"".join(store.stream("a", 0, store.head("a").size))
        except StorageUnavailable:
            continue  # replaced while it was read, and said so
        assert streamed == streamed[:1] * len(streamed)
        streams += 1
    writer.join()
    assert reads > 3


def test_parallel_writers_of_one_key_leave_one_whole_object(place: Place) -> None:
    def write(value: int) -> None:
        place.store.put_stream("same", iter([bytes([value]) * MIB] * 6), "image/webp")

    writers = [threading.Thread(target=write, args=(value,)) for value in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seen = place.store.get("same")
    assert len(seen) == 6 * MIB
    assert seen == seen[:1] * len(seen)
    assert names(place.store, "") == {"same"}
    assert place.leftovers() == []


def test_a_store_is_used_by_many_threads_at_once(store: ObjectStore) -> None:
    failures: list[BaseException] = []

    def use(number: int) -> None:
        try:
            for turn in range(20):
                key, data = f"threads/{number}/{turn}", uuid.uuid4().bytes
                store.put(key, data, "image/webp")
                assert store.get(key) == data
                store.delete(key)
        except BaseException as error:
            failures.append(error)

    users = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert failures == []
    assert names(store, "threads") == set()
