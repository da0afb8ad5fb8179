"""A probe is answered in bounded time, whatever a check does."""

import threading
import time

import pytest

from pixmill_shared.observability.health import HealthServer, Pulse, Readiness
from pixmill_shared.settings.process import ListenSettings


def fine() -> None:
    """Well."""


def broken() -> None:
    raise ValueError("postgres://user:secret@host")


def test_all_checks_are_run_and_named_and_reasons_are_not_shown() -> None:
    assert Readiness({"a": fine, "b": fine}).ask() == (True, {"a": "ok", "b": "ok"})
    assert Readiness({"a": fine, "b": broken}).ask() == (False, {"a": "ok", "b": "unavailable"})


def test_check_that_hangs_is_unavailable_and_not_started_twice() -> None:
    release, started = threading.Event(), []

    def hanging() -> None:
        started.append(1)
        release.wait(30)

    readiness = Readiness({"slow": hanging, "quick": fine}, timeout=0.1)
    for _ in range(3):
        begun = time.monotonic()
        assert readiness.ask() == (False, {"slow": "unavailable", "quick": "ok"})
        assert time.monotonic() - begun < 2
    assert len(started) == 1
    release.set()
    deadline = time.monotonic() + 5
    while not readiness.ask()[0]:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("age", "status"), [(0.0, 200), (14.0, 200), (16.0, 503)])
def test_liveness_is_the_age_of_the_pulse(age: float, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse()
    pulse._last -= age
    server = HealthServer(pulse, {"database": broken}, ListenSettings(port=0))
    assert server.answer("/health")[0] == status
    assert server.answer("/nothing")[0] == 404
