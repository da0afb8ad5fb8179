"""The table of what `pixmill up` runs."""

import sys
from pathlib import Path

import pytest

from pixmill.errors import StackError
from pixmill.local.child import ProcessSpec
from pixmill.local.ports import PortPlan
from pixmill.local.processes import ProcessTable
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.plumbing.ending import REST
from pixmill_shared.plumbing.leases import HAND_BACK
from pixmill_shared.settings.work import ShutdownSettings

BIN = str(Path(sys.executable).parent)
BASE = {"PIXMILL_BIND": "127.0.0.1", "FLOWER_USER": "admin", "FLOWER_PASSWORD": "s3cret", "PIXMILL_ENV": "development"}


def table(**variables: str) -> list[list[ProcessSpec]]:
    return ProcessTable({**BASE, **variables}, "postgresql://owner", PortPlan.from_base(9100), Path("/")).groups()


def by_name(**variables: str) -> dict[str, ProcessSpec]:
    return {spec.name: spec for group in table(**variables) for spec in group}


def option(spec: ProcessSpec, name: str) -> str:
    return spec.argv[spec.argv.index(name) + 1]


def test_migrations_come_first_and_the_api_last() -> None:
    groups = table()
    assert [spec.name for spec in groups[0]] == ["migrate"]
    assert [spec.name for spec in groups[-1]] == ["api"]


def test_every_queue_is_consumed_by_exactly_one_worker() -> None:
    consumed = [queue for spec in by_name().values() if "-Q" in spec.argv for queue in option(spec, "-Q").split(",")]
    assert sorted(consumed) == sorted(QueueName)


def test_workers_run_by_the_absolute_path_of_the_environment_as_their_service() -> None:
    processes = by_name()
    expected = {
        "imaging": ("pixmill_imaging.celery_app", "prefork"),
        "imaging-io": ("pixmill_imaging.celery_app", "threads"),
        "notifier": ("pixmill_notifier.celery_app", "threads"),
        "worker": ("pixmill_api.celery_app", "prefork"),
    }
    for name, (app, pool) in expected.items():
        assert processes[name].argv[:4] == (f"{BIN}/celery", "-A", app, "worker")
        assert option(processes[name], "-P") == pool
        assert option(processes[name], "-n") == f"{name}@%h"


def test_worker_has_time_to_hand_back_what_it_cannot_end() -> None:
    for name in ("imaging", "imaging-io", "notifier", "worker"):
        assert by_name()[name].grace > ShutdownSettings().timeout + HAND_BACK + REST
        assert by_name(PIXMILL_SHUTDOWN_TIMEOUT="60")[name].grace > 60 + HAND_BACK + REST


def test_each_process_is_told_its_own_port() -> None:
    ports = {name: spec.env.get("PIXMILL_PORT") for name, spec in by_name().items() if name != "migrate"}
    assert ports == {name: str(port) for name, port in PortPlan.from_base(9100).items()}


def test_only_migrations_get_the_owners_address() -> None:
    knowing = [name for name, spec in by_name().items() if "PIXMILL_MIGRATE_DATABASE_URL" in spec.env]
    assert knowing == ["migrate"]


def test_flowers_password_is_in_its_environment_and_in_no_arguments() -> None:
    processes = by_name()
    assert processes["flower"].env["FLOWER_PASSWORD"] == "s3cret"
    assert not any("s3cret" in argument for spec in processes.values() for argument in spec.argv)


def test_a_login_that_flower_would_take_apart_is_refused() -> None:
    with pytest.raises(StackError, match="comma"):
        table(FLOWER_PASSWORD="a,b")


def test_concurrency_is_the_users() -> None:
    processes = by_name(PIXMILL_IMAGING_CONCURRENCY="5", PIXMILL_NOTIFIER_CONCURRENCY="2")
    assert option(processes["imaging"], "-c") == "5"
    assert option(processes["notifier"], "-c") == "2"
    assert option(processes["imaging-io"], "-c") == "8"


@pytest.mark.parametrize("value", ["many", "-1"])
def test_a_wrong_concurrency_is_named(value: str) -> None:
    with pytest.raises(StackError, match="PIXMILL_IMAGING_CONCURRENCY"):
        table(PIXMILL_IMAGING_CONCURRENCY=value)
