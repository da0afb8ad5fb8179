"""Resumable uploads whose process is killed or stands still, and which another process goes on with."""

import datetime
import hashlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.integration.api.resuming import BASE, VERSION, Tus, begin, open_patch
from tests.integration.api.running import Api, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.storage.conftest import opened, settings_for

from pixmill_api.service.upload_locks import LASTS
from pixmill_shared.database.engine import Database
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.storage import ObjectStore

PART = 65_536
DATA = os.urandom(PART * 6 + 1_234)
PATIENCE = 60 + LASTS


class Site:
    """Processes of the API that have a database and a directory in common."""

    def __init__(self, stack: ExitStack, database_url: str, directory: Path) -> None:
        self._stack = stack
        self._database_url = database_url
        self.storage = directory / "objects"
        self.failpoints = directory / "failpoints"
        self.failpoints.mkdir()
        self.database = Database(database_url)
        stack.callback(self.database.dispose)

    def api(self, *, killed: bool = False) -> Api:
        changes = {"PIXMILL_TUS_PART_BYTES": str(PART), "PIXMILL_FAILPOINTS": str(self.failpoints)}
        running = running_api(self._database_url, self.storage, killed=killed, **changes)
        return self._stack.enter_context(running)

    def arm(self, name: str, count: int = 1) -> None:
        (self.failpoints / name).write_text(json.dumps({"action": "kill", "count": count}))

    def store(self) -> ObjectStore:
        return opened(settings_for({"PIXMILL_STORAGE_URL": self.storage.as_uri()}))

    def sweep(self) -> int:
        """Of objects however young; how many went."""
        return sweep_objects(self.database, self.store(), older_than=datetime.timedelta(0)).deleted


@pytest.fixture
def site(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, postgres_url, tmp_path)


def at(api: Api, upload: Tus) -> Tus:
    return Tus(api, f"{api.url}{BASE}/{upload.id}")


def resumed(upload: Tus) -> int:
    """The offset, when whatever held the lock has lost it."""
    wait_until(lambda: upload.head().status_code == 200, "the upload can be looked at", PATIENCE)
    return upload.offset()


def send_rest(upload: Tus, offset: int) -> None:
    wait_until(lambda: upload.patch(offset, DATA[offset:]).status_code == 204, "the rest is taken", PATIENCE)


@contextmanager
def writing(first: Api, second: Api) -> Iterator[tuple[Tus, socket.socket]]:
    """An upload that a request to ``first`` writes to, of which ``second`` has let nobody else do anything.

    A lock ends if a process stands still for as long as it lasts: then it is tried again.
    """
    for _ in range(3):
        upload = begin(first, len(DATA))
        with open_patch(upload, 0, 2 * PART) as connection:
            connection.sendall(DATA[:PART])
            wait_until(upload.parts, "the first request has begun", PATIENCE)
            there = at(second, upload)
            answers = [there.patch(PART, DATA[PART:]), second.client.delete(there.url, headers=VERSION)]
            if any(answer.status_code == 204 for answer in answers):
                continue
            for answer in answers:
                assert_problem(answer, 423, "upload_locked")
                assert answer.headers["Retry-After"] == "1"
            yield upload, connection
            return
    raise AssertionError("nobody is kept out")


def assert_whole(site: Site, upload: Tus) -> None:
    row = upload.stored()
    assert row is not None
    assert row[:2] == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert upload.content() == DATA
    site.sweep()
    ours = [name for name in upload.api.objects() if upload.id in name]
    assert ours == [row[3]]
    assert upload.content() == DATA


def test_upload_goes_on_after_the_process_was_killed_amid_a_request(site: Site) -> None:
    first = site.api(killed=True)
    upload = begin(first, len(DATA))
    with open_patch(upload, 0, len(DATA)) as connection:
        connection.sendall(DATA[: 3 * PART + 500])
        wait_until(lambda: len(upload.parts()) == 3, "three parts are safe", PATIENCE)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    upload = at(site.api(), upload)
    assert resumed(upload) == 3 * PART
    assert site.sweep() == 0
    send_rest(upload, 3 * PART)
    assert_whole(site, upload)


@pytest.mark.parametrize(
    ("failpoint", "count", "safe"),
    [
        ("upload.part_stored", 3, 2),
        ("upload.part_noted", 3, 3),
        ("upload.assembled", 1, None),
        ("upload.completed", 1, None),
    ],
    ids=["part without a row", "part", "whole without a row", "whole"],
)
def test_nothing_is_lost_wherever_the_process_is_killed(
    site: Site, failpoint: str, count: int, safe: int | None
) -> None:
    first = site.api(killed=True)
    upload = begin(first, len(DATA))
    site.arm(failpoint, count)
    with pytest.raises(httpx.TransportError):
        upload.patch(0, DATA)
    first.process.wait(60)
    # While the session lives, nothing of it may go.
    if failpoint != "upload.completed":
        assert site.sweep() == 0
    upload = at(site.api(), upload)
    offset = resumed(upload)
    assert offset == (len(DATA) if safe is None else safe * PART)
    if safe is not None:
        send_rest(upload, offset)
    assert_whole(site, upload)


def test_two_processes_serve_one_upload_and_only_one_writes_at_a_time(site: Site) -> None:
    one, two = site.api(), site.api()
    with writing(one, two) as (upload, connection):
        there = at(two, upload)
        assert there.offset() == PART
        connection.sendall(DATA[PART : 2 * PART])
        assert connection.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert there.patch(2 * PART, DATA[2 * PART : 4 * PART]).status_code == 204
    assert upload.patch(4 * PART, DATA[4 * PART :]).status_code == 204
    assert there.offset() == len(DATA)
    assert_whole(site, there)


def test_request_that_stood_still_has_lost_its_lock_and_changes_nothing(site: Site) -> None:
    frozen, other = site.api(), site.api()
    upload = begin(frozen, len(DATA))
    there = at(other, upload)
    with open_patch(upload, 0, len(DATA)) as connection:
        connection.sendall(DATA[: PART + 100])
        wait_until(there.parts, "the first part is safe", PATIENCE)
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: there.patch(PART, DATA[PART : 2 * PART]).status_code == 204, "a second one", PATIENCE)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        wrong = bytes(len(DATA) - PART - 100)
        connection.sendall(wrong)
        assert connection.recv(1000).startswith(b"HTTP/1.1 423 ")
    assert there.offset() == 2 * PART
    send_rest(there, 2 * PART)
    assert_whole(site, there)


def test_connection_that_is_silent_gives_way_to_the_next_request(site: Site) -> None:
    """Its client is gone without a word, as one whose network changed; the time-out of the body is far away."""
    api = site.api()
    with writing(api, api) as (upload, _):
        send_rest(upload, PART)
        assert upload.stored() is not None
    assert_whole(site, upload)
