"""A real S3 server for tests: SeaweedFS from its wheel, credentials enforced, own directory, free ports."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from pixmill.local.ports import choose_free, is_free
from tests.waiting import eventually

ACCESS_KEY: Final = "pixmill-tests"
SECRET_KEY: Final = "not-a-secret-of-anyone"
BUCKET: Final = "pictures"

_PORTS: Final = tuple(
    f"{name}.{kind}" for name in ("master", "volume", "filer", "s3") for kind in ("port", "port.grpc")
)


@dataclass
class S3:
    """The running server. ``root`` and ``filer`` are loopback URLs; the filer shows what S3 hides."""

    process: subprocess.Popen[bytes]
    root: str
    filer: str
    ports: tuple[int, ...]

    def variables(self, prefix: str = "") -> dict[str, str]:
        """What a process needs in order to keep its objects here."""
        return {
            "PIXMILL_STORAGE_URL": f"s3://{BUCKET}/{prefix}".rstrip("/"),
            "AWS_ENDPOINT_URL": self.root,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def unfinished_uploads(self) -> list[str]:
        """Multipart uploads that were begun and neither completed nor aborted."""
        url, accept = f"{self.filer}/buckets/{BUCKET}/.uploads/", {"Accept": "application/json"}
        answer = httpx.get(url, headers=accept, timeout=60)
        entries: list[dict[str, Any]] = (answer.json().get("Entries") or []) if answer.is_success else []
        return [entry["FullPath"] for entry in entries]

    def stop(self) -> None:
        """With the time that it takes to let go of its files."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_s3(directory: Path) -> Iterator[S3]:
    """Started and stopped around the block; ready when it refuses who has no key."""
    log = directory / "weed.log"
    server, ports = _started(directory, log), []
    try:
        # One of its ports may have been taken meanwhile: then with others.
        for _ in range(5):
            ports += server.ports
            if eventually(partial(_state, server), within=90) == "ready":
                break
            server = _started(directory, log)
        else:
            raise AssertionError("weed ends each time that it is started")
        yield server
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        server.stop()
        # It puts sockets there, named after ports, whatever TMPDIR says.
        for port in ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _started(directory: Path, log: Path) -> S3:
    ports = _free_ports()
    with log.open("ab") as file:
        process = subprocess.Popen(
            _command(directory, ports),
            env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "HOME": str(directory)},
            cwd=directory,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    root, filer = (f"http://127.0.0.1:{ports[name]}" for name in ("s3.port", "filer.port"))
    return S3(process, root, filer, tuple(ports.values()))


def _command(directory: Path, ports: dict[str, int]) -> list[str]:
    options = {
        "dir": directory,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "webdav": "false",
        "admin.ui": "false",
        "admin.password": SECRET_KEY,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
        # On by default, and sends to the maker's server.
        "master.telemetry": "false",
        **ports,
    }
    weed = Path(sys.executable).parent / "weed"
    return [str(weed), "mini", *(f"-{name}={value}" for name, value in options.items())]


def _state(server: S3) -> str:
    """``ready`` or ``ended``; empty while it starts."""
    if server.process.poll() is not None:
        return "ended"
    try:
        made = httpx.get(f"{server.filer}/buckets/{BUCKET}/", timeout=5).is_success
        refuses_strangers = made and httpx.get(f"{server.root}/{BUCKET}", timeout=5).status_code == 403
    except httpx.TransportError:
        return ""
    return "ready" if refuses_strangers else ""


def _free_ports() -> dict[str, int]:
    """An option of weed and its port, all different."""
    found: dict[str, int] = {}
    for name in _PORTS:
        found[name] = choose_free("127.0.0.1", None, frozenset(found.values()))
    while True:
        # Its worker looks for the administration 10000 higher, whatever it is told.
        admin = choose_free("127.0.0.1", None, frozenset(found.values()))
        if is_free("127.0.0.1", admin + 10_000):
            return {**found, "admin.port": admin}
