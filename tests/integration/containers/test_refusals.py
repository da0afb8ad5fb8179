"""A process of a production stack does not start with a secret of ``.env.example``, and says which one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.containers.build import ROOT
from tests.integration.containers.compose import Service, services
from tests.integration.containers.dockerfile import read_dockerfile

GOOD = {
    "POSTGRES_MIGRATE_PASSWORD": "m1",
    "DB_PASSWORD": "p1",
    "REDIS_PASSWORD": "r1",
    "PIXMILL_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "PIXMILL_WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    "FLOWER_USER": "admin",
    "FLOWER_PASSWORD": "f1",
}
#: Each variable of .env with its placeholder; what the message names; processes that have to refuse it. Every process
#: is here once or more; which classes each loads is compared in tests/unit/repository.
CASES = [
    ("POSTGRES_MIGRATE_PASSWORD", "changeme", "PIXMILL_MIGRATE_DATABASE_URL", ["migrate"]),
    ("DB_PASSWORD", "changeme", "DB_PASSWORD", ["api", "dispatcher", "worker", "imaging"]),
    ("REDIS_PASSWORD", "changeme", "REDIS_URL", ["beat", "imaging-io"]),
    ("PIXMILL_SECRET_KEY", "changeme", "PIXMILL_SECRET_KEY", ["api", "notifier"]),
    ("PIXMILL_WEBHOOK_SECRET", "whsec_changeme", "PIXMILL_WEBHOOK_SECRET", ["notifier"]),
    ("FLOWER_PASSWORD", "changeme", "FLOWER_PASSWORD", ["flower"]),
]


def start(service: Service, directory: Path) -> "subprocess.Popen[str]":
    """Its command, with the variables that compose gives it, in this repository's own environment."""
    image = read_dockerfile(ROOT / service.dockerfile)[-1]
    command = service.command or image.one("CMD").words()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    here = {
        "PATH": path,
        "PIXMILL_BIND": "127.0.0.1",
        "PIXMILL_PORT": "0",
        "PIXMILL_STORAGE_URL": f"file://{directory}",
    }
    given = {name: value for name, value in service.environment.items() if name not in here}
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**image.environment, **given, **here},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def ended() -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize(("variable", "placeholder", "named", "names"), CASES, ids=[case[0] for case in CASES])
def test_placeholder_is_refused_by_each_process_that_reads_it(
    variable: str,
    placeholder: str,
    named: str,
    names: list[str],
    tmp_path: Path,
    ended: list["subprocess.Popen[str]"],
) -> None:
    given = services({**GOOD, variable: placeholder})
    assert all("PIXMILL_ENV" not in given[name].environment for name in names), "unset means production"
    ended.extend(start(given[name], tmp_path) for name in names)
    for name, process in zip(names, ended, strict=True):
        output, _ = process.communicate(timeout=150)
        assert process.returncode not in (0, None), f"{name} started: {output}"
        assert "placeholder of .env.example" in output, f"{name}: {output}"
        assert named in output, f"{name}: {output}"
