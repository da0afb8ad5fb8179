"""A directory that is full, gone or somebody else's; and what killed writers leave."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.storage.conftest import Place, opened, settings_for
from tests.waiting import eventually

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.storage import ObjectStore, StorageUnavailable, prepare_directory

MIB = 1024 * 1024
NOBODY = 65534
PRELUDE = """
import asyncio, json, os, resource, sys, time
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import StorageUnavailable, open_store, prepare_directory
from pixmill_shared.storage.signing import FileUrlSigner
settings = StorageSettings(**json.loads(sys.argv[1]))
store = open_store(settings, FileUrlSigner(["k"]), "http://pixmill.test")
"""


def script(place: Place, body: str, **options: Any) -> subprocess.Popen[str]:
    """A process of its own with ``store`` and ``settings``."""
    plain = place.settings.model_dump()
    plain |= {name: plain[name].get_secret_value() for name in ("aws_access_key_id", "aws_secret_access_key")}
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), json.dumps(plain)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 0, out
    return out


def root_of(place: Place) -> Path:
    return Path(place.settings.directory)


def test_a_full_disk_is_unavailable_and_keeps_what_was_there(directory: Place) -> None:
    directory.store.put("a/kept", b"old", "image/webp")
    out = output_of(
        script(
            directory,
            """
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            async def chunks():
                for _ in range(9):
                    yield b"x" * (1 << 20)
            writes = [
                lambda: store.put("a/kept", b"x" * (3 << 20), "image/webp"),
                lambda: store.put("a/large", b"x" * (9 << 20), "image/webp"),
                lambda: store.put_stream("a/stream", iter([b"x" * (1 << 20)] * 9), "image/webp"),
                lambda: asyncio.run(store.put_stream_async("a/async", chunks(), "image/webp")),
            ]
            for write in writes:
                try:
                    write()
                except StorageUnavailable:
                    print("unavailable")
            store.put("a/small", b"fits", "image/webp")
            """,
        )
    )
    assert out.split() == ["unavailable"] * 4
    assert {info.key for info in directory.store.list("")} == {"a/kept", "a/small"}
    assert directory.store.get("a/kept") == b"old"
    assert directory.leftovers() == []


def test_a_directory_that_went_away_is_unavailable_and_not_a_missing_object(directory: Place) -> None:
    directory.store.put("a", b"1", "image/webp")
    root_of(directory).rename(root_of(directory).with_name("elsewhere"))
    for read in (directory.store.get, directory.store.head, directory.store.exists, directory.store.delete):
        with pytest.raises(StorageUnavailable):
            read("a")
    root_of(directory).with_name("elsewhere").rename(root_of(directory))
    assert directory.store.get("a") == b"1"


def test_a_path_that_is_a_file_is_unavailable_to_a_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = opened(settings_for({"PIXMILL_STORAGE_URL": (tmp_path / "file").as_uri()}))
    with pytest.raises(StorageUnavailable):
        store.put("a", b"1", "image/webp")
    with pytest.raises(StorageUnavailable):
        store.get("a")


def test_preparing_makes_the_directory_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet"
    settings = settings_for({"PIXMILL_STORAGE_URL": path.as_uri()})
    prepare_directory(settings)
    prepare_directory(settings)
    assert list(path.iterdir()) == []


def test_preparing_says_what_is_wrong_with_a_path_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=f"PIXMILL_STORAGE_URL: cannot use the directory {path} "):
            prepare_directory(settings_for({"PIXMILL_STORAGE_URL": path.as_uri()}))


def test_preparing_says_whose_directory_it_has_to_be(place_of_somebody_else: Place) -> None:
    out = output_of(
        script(
            place_of_somebody_else,
            """
            from pixmill_shared.errors import ConfigurationError
            if os.geteuid() == 0:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
            try:
                prepare_directory(settings)
            except ConfigurationError as error:
                print(os.geteuid(), error)
            try:
                store.put("a", b"1", "image/webp")
            except StorageUnavailable:
                print("unavailable")
            """,
        )
    )
    first, second = out.splitlines()
    user, _, message = first.partition(" ")
    assert "this user may not write there" in message
    assert f"user id {user}" in message
    assert second == "unavailable"


@pytest.fixture
def place_of_somebody_else(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import shutil
    import tempfile

    # Not below pytest's own directory, which another user may not enter.
    top = Path(tempfile.mkdtemp(prefix="pixmill-test-"))
    path = top / "objects"
    path.mkdir()
    path.chmod(0o555)
    top.chmod(0o755)
    settings = settings_for({"PIXMILL_STORAGE_URL": path.as_uri()})
    yield Place(opened(settings), settings, list)
    path.chmod(0o755)
    shutil.rmtree(top)


def test_modes_are_those_of_the_umask(directory: Place) -> None:
    output_of(script(directory, "os.umask(0o027); store.put('a/b', b'1', 'image/webp')"))
    modes = [stat.S_IMODE((root_of(directory) / name).stat().st_mode) for name in (".", "a", "a/b")]
    assert modes == [0o750, 0o750, 0o640]


def test_what_is_written_is_on_the_disk_before_the_call_returns(directory: Place) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    # A test cannot cut the power; it can see that the file and every directory that may be new are flushed.
    data = os.urandom(8 * MIB)
    for key, write in {
        "deep/er/put": lambda key: directory.store.put(key, data, "image/webp"),
        "stream": lambda key: directory.store.put_stream(key, iter([data]), "image/webp"),
        "async": lambda key: asyncio.run(directory.store.put_stream_async(key, _one(data), "image/webp")),
    }.items():
        flushed = _flushes(lambda write=write, key=key: write(key))
        parents = [root_of(directory) / key, *(root_of(directory) / key).parents]
        wanted = parents[: parents.index(root_of(directory)) + 1]
        assert flushed == [str(path) for path in wanted]


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _flushes(action: Any) -> list[str]:
    """The files that are flushed while ``action`` runs."""
    seen = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", watched)
        action()
    return seen


@pytest.mark.parametrize("write", ["put_stream", "put_stream_async"])
def test_a_killed_writer_leaves_no_readable_object(place: Place, write: str) -> None:
    place.store.put("old", b"old", "image/webp")
    process = script(
        place,
        f"""
        def chunks():
            for number in range(14):
                yield b"x" * (1 << 20)
            print("in the middle", flush=True)
            sys.stdin.read()
        async def async_chunks():
            for chunk in chunks():
                yield chunk
        for key in ("new",):
            if {write == "put_stream"}:
                store.put_stream(key, chunks(), "image/webp")
            else:
                asyncio.run(store.put_stream_async(key, async_chunks(), "image/webp"))
        """,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "in the middle\n"
        assert_absent(place.store)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert_absent(place.store)
    # What it left is seen by nobody, and in nobody's way.
    place.store.put("new", b"again", "image/webp")
    assert place.store.get("new") == b"again"
    assert {info.key for info in place.store.list("")} == {"old", "new"}


def assert_absent(store: ObjectStore) -> None:
    assert not store.exists("new")
    assert {info.key for info in store.list("")} == {"old"}
    assert store.get("old") == b"old"


def test_a_writer_killed_at_any_moment_leaves_whole_objects(place: Place) -> None:
    """Each object is 6 MiB of one byte, so that half of one is told at sight."""
    for delay in (0.0, 0.013, 0.05, 0.11):
        process = script(
            place,
            """
            print("go", flush=True)
            for number in range(100_000):
                store.put_stream(f"k/{number % 5}", iter([bytes([number % 251]) * (1 << 20)] * 6), "image/webp")
            """,
        )
        try:
            assert process.stdout
            process.stdout.readline()
            eventually(lambda: place.store.exists("k/0") or None, within=60)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
        finally:
            process.kill()
            process.communicate(timeout=60)
        for info in list(place.store.list("k")):
            data = place.store.get(info.key)
            assert len(data) == info.size == 6 * MIB
            assert data == data[:1] * len(data)
            place.store.delete(info.key)


def test_a_stream_of_100_megabytes_takes_no_memory_of_its_size(place: Place) -> None:
    out = output_of(
        script(
            place,
            """
            chunk = b"x" * (1 << 18)
            async def chunks(megabytes):
                for _ in range(4 * megabytes):
                    yield chunk
            def peak():
                return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "linux" else 1024)
            def write(megabytes):
                store.put_stream("s", (chunk for _ in range(4 * megabytes)), "image/webp")
                asyncio.run(store.put_stream_async("a", chunks(megabytes), "image/webp"))
                for part in store.stream("s", 0, megabytes << 20):
                    pass
            write(30)
            before = peak()
            write(100)
            print(json.dumps({"before": before, "grown": peak() - before}))
            """,
        )
    )
    memory = json.loads(out)
    assert memory["grown"] < 30 * 1024, memory  # KiB
    assert place.store.head("a").size == place.store.head("s").size == 100 * MIB
