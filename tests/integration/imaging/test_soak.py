"""A short part of ``make soak``: hostile files harm neither the worker nor the files beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.shared.processes import Fleet, environment_of
from tests.servers import Servers
from tests.soak.mixture import mixture
from tests.soak.running import Seen, soak, start_worker, table

from pixmill_shared.runtime import Runtime

JOBS = 110


@pytest.fixture
def fleet(servers: Servers, postgres_url: str, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, environment_of(servers.stack.environment, postgres_url, tmp_path))
    yield fleet
    fleet.stop()


@pytest.fixture
def runtime(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    for name in ("DATABASE_URL", "PIXMILL_STORAGE_URL", "PIXMILL_SECRET_KEY"):
        monkeypatch.setenv(name, fleet.environment[name])
    runtime = Runtime()
    yield runtime
    runtime.database.dispose()


def mixed(fleet: Fleet, runtime: Runtime, soft_limit: int) -> Seen:
    return soak(runtime, start_worker(fleet, 2, soft_limit), mixture(JOBS, endless_every=JOBS), within=170)


@pytest.mark.timeout(500)
def test_mixture_of_good_and_hostile_files_costs_no_process_and_no_second_try(fleet: Fleet, runtime: Runtime) -> None:
    seen = mixed(fleet, runtime, soft_limit=4)
    if any(end == "time_limit" and kind != "endless" for kind, end in seen.ends):
        # That a machine stands still for four seconds is no fault of a file. The endless ones take longer than ten.
        fleet.stop()
        seen = mixed(fleet, runtime, soft_limit=10)
    assert seen.wrong == [], table(seen)
    assert sum(seen.ends.values()) == JOBS
    assert seen.ends["endless", "time_limit"] == 1
    assert seen.ends["good", "completed"] > 30
    # Once everything has been used for the first time, nothing grows; the long form holds it to 1.2.
    assert seen.memory_of(0.9, 1) < 1.4 * seen.memory_of(0.6, 0.8), table(seen)
