"""ZIP files of outputs, made while they are sent."""

import contextlib
import hashlib
import io
import os
import shutil
import socket
import subprocess
import threading
import uuid
import zipfile
from pathlib import Path

import httpx
import pytest
from tests.integration.api.filled import any_id, batch, drop_object, job, jobs, noise
from tests.integration.api.running import Api, running_api, wait_until
from tests.s3 import S3

from pixmill_api.service.building import build
from pixmill_shared.runtime import Runtime


def files_in(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} <= {zipfile.ZIP_STORED}
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_archive_of_a_job_has_its_outputs_byte_for_byte(api: Api) -> None:
    outputs = {"web": noise(100_000), "thumb": noise(5), "con": noise(600_000)}
    job_id = job(api, outputs)
    answer = api.client.get(f"/api/v1/jobs/{job_id}/outputs.zip")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job_id}.zip"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    expected = {"web.png": outputs["web"], "thumb.png": outputs["thumb"], "_con.png": outputs["con"]}
    assert files_in(answer.content) == expected


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_finds_nothing_wrong(api: Api, tmp_path: Path) -> None:
    job_id = job(api, {"web": noise(300_000), "thumb": noise(1)})
    file = tmp_path / "outputs.zip"
    file.write_bytes(api.client.get(f"/api/v1/jobs/{job_id}/outputs.zip").content)
    tested = subprocess.run(["unzip", "-t", str(file)], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    assert "No errors detected" in tested.stdout


def test_archive_of_a_batch_has_its_completed_jobs_in_directories(api: Api) -> None:
    batch_id = batch(api, 3, finished=False)
    done = {job(api, {"web": noise(1_000), "thumb": noise(10)}, batch_id=batch_id): None for _ in range(2)}
    job(api, {}, batch_id=batch_id, status="failed")
    job(api, {}, batch_id=batch_id, status="queued")
    answer = api.client.get(f"/api/v1/batches/{batch_id}/outputs.zip")
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
    assert set(files_in(answer.content)) == {f"{each}/{name}.png" for each in done for name in ("web", "thumb")}


def test_large_batch_is_read_in_pages_and_complete(api: Api) -> None:
    batch_id = batch(api, 260)
    ids = jobs(api, 260, {"a": b"a", "b": b"bb"}, batch_id=batch_id)
    found = files_in(api.client.get(f"/api/v1/batches/{batch_id}/outputs.zip").content)
    assert set(found) == {f"{each}/{name}.png" for each in ids for name in "ab"}


def test_client_that_has_the_archive_is_told_so(api: Api) -> None:
    job_id, batch_id = job(api, {"web": noise(10)}), batch(api, 1)
    job(api, {"web": noise(10)}, batch_id=batch_id)
    for path in (f"/api/v1/jobs/{job_id}/outputs.zip", f"/api/v1/batches/{batch_id}/outputs.zip"):
        etag = api.client.get(path).headers["ETag"]
        again = api.client.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
        assert api.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        head = api.client.head(path)
        assert (head.status_code, head.headers["ETag"], head.content) == (200, etag, b"")


def test_without_anything_to_send_there_is_a_problem(api: Api) -> None:
    for status in ("queued", "processing", "failed", "canceled"):
        answer = api.client.get(f"/api/v1/jobs/{job(api, {}, status=status)}/outputs.zip")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    for finished in (True, False):
        answer = api.client.get(f"/api/v1/batches/{batch(api, 1, finished=finished)}/outputs.zip")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_archives_of_others_and_of_nobody_are_not_found(api: Api) -> None:
    foreign, theirs = job(api, {"web": b"x"}, project="other"), batch(api, 1, project="other")
    for job_id in (foreign, any_id(), "x", "..%2f"):
        assert api.client.get(f"/api/v1/jobs/{job_id}/outputs.zip").status_code == 404
    for batch_id in (theirs, any_id(), "x"):
        assert api.client.get(f"/api/v1/batches/{batch_id}/outputs.zip").status_code == 404


def test_archive_whose_first_file_is_gone_is_a_problem(api: Api) -> None:
    job_id = job(api, {"web": noise(10)})
    drop_object(api, job_id, "web")
    answer = api.client.get(f"/api/v1/jobs/{job_id}/outputs.zip")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_archive_that_breaks_off_is_not_taken_for_whole(api: Api) -> None:
    job_id = job(api, {"first": noise(2_000_000), "second": noise(10)})
    drop_object(api, job_id, "second")
    received = bytearray()

    def receive() -> None:
        with api.client.stream("GET", f"/api/v1/jobs/{job_id}/outputs.zip") as answer:
            assert answer.status_code == 200
            for part in answer.iter_bytes():
                received.extend(part)

    with pytest.raises(httpx.RemoteProtocolError):
        receive()
    assert len(received) >= 2_000_000
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(bytes(received)))


def test_slow_readers_hold_no_connection_and_those_who_go_leave_nothing(api: Api) -> None:
    batch_id = batch(api, 1)
    job_id = job(api, {"a": noise(12_000_000), "b": noise(12_000_000)}, batch_id=batch_id)
    api.client.get("/health")
    before = connections(api)
    with contextlib.ExitStack() as readers:
        for _ in range(25):
            readers.enter_context(slow_reader(api, f"/api/v1/batches/{batch_id}/outputs.zip"))
        # More of them than the API has threads, and all of them stopped in the middle: others are served.
        assert api.client.get(f"/api/v1/jobs/{job_id}").status_code == 200
        wait_until(lambda: api.query(IN_TRANSACTION)[0][0] == 0, "the end of transactions", 60)
    wait_until(lambda: connections(api) <= before, "the end of connections", 60)
    wait_until(lambda: open_objects(api) == [], "the end of reading", 60)
    wait_until(lambda: threads_at_work(api) == 0, "the end of threads", 60)


IN_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND strpos(state, 'in transaction') > 0 AND pid <> pg_backend_pid()
"""


def connections(api: Api) -> int:
    """Of clients, this test's own among them."""
    port = f":{int(api.url.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(local.endswith(port) and state != LISTENING for _, local, _, state, *_ in lines)


LISTENING = "0A"


def open_objects(api: Api) -> list[str]:
    links = []
    for link in Path(f"/proc/{api.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(link))
    return [target for target in links if target.startswith(f"{api.storage}/")]


def threads_at_work(api: Api) -> int:
    """Threads that wait for nothing."""
    states = []
    for task in Path(f"/proc/{api.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states.count("R")


def slow_reader(api: Api, path: str) -> socket.socket:
    """One that has read a little and reads no more."""
    host, port = api.url.removeprefix("http://").split(":")
    reader = socket.create_connection((host, int(port)), timeout=60)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert reader.recv(1_000).startswith(b"HTTP/1.1 200")
    return reader


def test_memory_stays_flat_however_large_the_archive_is(api: Api) -> None:
    batch_id, size = batch(api, 40), 5_000_000
    data = noise(size)
    jobs(api, 40, {"web": data}, batch_id=batch_id)
    path = f"/api/v1/batches/{batch_id}/outputs.zip"
    small = job(api, {"web": data})
    api.client.get(f"/api/v1/jobs/{small}/outputs.zip")
    before, most, done = api.resident_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], api.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    received = 0
    try:
        with api.client.stream("GET", path) as answer:
            for part in answer.iter_bytes():
                received += len(part)
    finally:
        done.set()
        watcher.join()
    assert received > 40 * size
    assert most[0] - before < 60_000_000


def test_archive_of_a_bucket_is_built_and_streamed_alike(
    postgres_url: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.variables("archives").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with running_api(postgres_url, tmp_path / "local", **s3.variables("archives")) as api:
        batch_id, data = batch(api, 1), noise(6_000_000)
        job_id = job(api, {"web": data, "thumb": b"x"}, batch_id=batch_id)
        clients = Runtime()
        for path in (api.storage / "renditions").rglob("*.png"):
            clients.store.put(str(path.relative_to(api.storage)), path.read_bytes(), "image/png")
        expected = {f"{job_id}/web.png": data, f"{job_id}/thumb.png": b"x"}
        assert files_in(api.client.get(f"/api/v1/batches/{batch_id}/outputs.zip").content) == expected
        made = build(clients, uuid.uuid4(), batch_id=uuid.UUID(batch_id), job_id=None)
        stored = clients.store.get(made["key"])
        clients.database.dispose()
        assert files_in(stored) == expected
        assert (len(stored), hashlib.sha256(stored).hexdigest()) == (made["bytes"], made["sha256"])
