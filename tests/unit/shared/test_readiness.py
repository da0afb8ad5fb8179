"""A probe is answered in bounded time, whatever a check does."""

import threading

import pytest
from tests.waiting import eventually

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
        release.wait(90)

    readiness = Readiness({"slow": hanging, "quick": fine}, timeout=0.1)
    for _ in range(3):
        # Perhaps not at once: threads of a busy machine start late. To wait for the slow check would be too late.
        eventually(lambda: readiness.ask() == (False, {"slow": "unavailable", "quick": "ok"}), 60)
    assert len(started) == 1
    release.set()
    eventually(lambda: readiness.ask()[0], 60)


class Aged(Pulse):
    """Of an age that stays."""

    def __init__(self, age: float) -> None:
        super().__init__()
        self._age = age

    @property
    def age(self) -> float:
        return self._age


@pytest.mark.parametrize(("age", "status"), [(0.0, 200), (14.9, 200), (15.0, 503)])
def test_liveness_is_the_age_of_the_pulse(age: float, status: int) -> None:
    server = HealthServer(Aged(age), {"database": broken}, ListenSettings(port=0))
    assert server.answer("/health")[0] == status
    assert server.answer("/nothing")[0] == 404


def test_age_of_a_pulse_is_counted_from_its_last_tick() -> None:
    pulse = Pulse()
    pulse._last -= 1000
    assert pulse.age >= 1000
    pulse.tick()
    assert 0 <= pulse.age < 1000
