"""Failpoints: nothing without a directory; with one, each order strikes as often as it says, and leaves a report."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixmill_shared import failpoints
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.failpoints import arm, failpoint
from pixmill_shared.settings.failpoints import FailpointSettings


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    arm(str(tmp_path))
    yield tmp_path
    arm("")


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reports' names of an action that does nothing else."""
    seen: list[str] = []
    monkeypatch.setitem(failpoints.ACTIONS, "note", lambda _order, report: seen.append(report.name))
    return seen


def order(directory: Path, name: str, **what: object) -> None:
    (directory / name).write_text(json.dumps(what))


def passed(directory: Path, name: str, key: str) -> int:
    """The exit code of a process that passes there."""
    code = f"from pixmill_shared.failpoints import *; arm({str(directory)!r}); failpoint({name!r}, {key!r})"
    return subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode


def test_nothing_is_looked_at_without_a_directory(tmp_path: Path, struck: list[str]) -> None:
    order(tmp_path, "render.claimed", action="note")
    failpoint("render.claimed", 1)
    assert struck == []
    assert (tmp_path / "render.claimed").exists()


def test_order_strikes_once_and_only_where_it_was_armed(directory: Path, struck: list[str]) -> None:
    order(directory, "render.claimed", action="note")
    failpoint("finish.begun", 1)
    failpoint("render.claimed", 1)
    failpoint("render.claimed", 1)
    (report,) = (directory / "struck").iterdir()
    assert struck == [report.name]
    said = json.loads(report.read_text())
    assert (said["name"], said["key"], said["pid"]) == ("render.claimed", "1", os.getpid())


def test_order_waits_for_the_pass_that_it_counts_to(directory: Path, struck: list[str]) -> None:
    order(directory, "render.claimed", action="note", count=3)
    seen = []
    for key in range(4):
        failpoint("render.claimed", key)
        seen.append(len(struck))
    assert seen == [0, 0, 1, 1]


def test_order_for_a_key_strikes_nobody_else_and_may_stay(directory: Path, struck: list[str]) -> None:
    order(directory, "render.claimed@poison", action="note", keep=True)
    for key in ("good", "poison", "good", "poison"):
        failpoint("render.claimed", key)
    keys = [json.loads(report.read_text())["key"] for report in (directory / "struck").iterdir()]
    assert keys == ["poison", "poison"]
    assert len(struck) == 2


def test_of_many_that_pass_at_once_one_is_struck(directory: Path, struck: list[str]) -> None:
    order(directory, "render.claimed", action="note")
    start = threading.Barrier(8)

    def run() -> None:
        start.wait(60)
        failpoint("render.claimed", 1)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert len(struck) == 1


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ({"action": "kill"}, signal.SIGKILL),
        ({"action": "segfault"}, signal.SIGSEGV),
        ({"action": "allocate", "megabytes": 32}, signal.SIGKILL),
    ],
    ids=["kill", "segfault", "allocate"],
)
def test_action_ends_its_process(directory: Path, what: dict[str, object], number: signal.Signals) -> None:
    order(directory, "body.opened", **what)
    assert passed(directory, "body.opened", "1") == -number
    assert len(list((directory / "struck").iterdir())) == 1


def test_pause_lasts_until_the_report_is_removed(directory: Path) -> None:
    order(directory, "body.opened", action="pause", seconds=60)
    passing = threading.Thread(target=failpoint, args=("body.opened", "1"))
    passing.start()
    report = directory / "struck"
    while not report.exists() or not list(report.iterdir()):
        passing.join(0.01)
    assert passing.is_alive()
    for file in report.iterdir():
        file.unlink()
    passing.join(60)
    assert not passing.is_alive()


def test_failpoints_are_refused_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_FAILPOINTS", str(tmp_path))
    monkeypatch.setenv("PIXMILL_ENV", "production")
    with pytest.raises(ConfigurationError, match="PIXMILL_FAILPOINTS: is for tests only"):
        FailpointSettings.load()
    monkeypatch.setenv("PIXMILL_ENV", "test")
    assert FailpointSettings.load().directory == str(tmp_path)
