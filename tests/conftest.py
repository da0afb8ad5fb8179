"""Fixtures that more than one kind of test needs. Servers start at their first use, once a session.

And the order in which files are given to the processes that run them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.s3 import S3, running_s3
from tests.servers import Servers, running_servers

# A busy machine takes longer for an example than Hypothesis grants by default; what is tested is no speed.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

CHAINS: Final = {
    "tests/e2e/": "stacks that are broken",
    "tests/integration/local_stack/": "stacks that are started",
    "tests/integration/containers/": "stacks that are started",
}
"""Directories whose tests start whole stacks, each of which takes the processor for half a minute. Those of a chain run
one after another, and chains begin first: so no two of them start at once, and none is left for the end.
"""
LONG: Final = (
    "tests/integration/shared/test_leases_in_processes.py",
    "tests/integration/shared/test_worker_processes.py",
    "tests/integration/imaging/test_render.py",
    "tests/integration/imaging/test_soak.py",
    "tests/integration/storage/test_forks.py",
)
"""Files of above half a minute: behind the chains, so that none of them is what the others wait for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _chain(item.nodeid) or ("~" if item.nodeid.startswith(LONG) else "~~"))


def _chain(nodeid: str) -> str | None:
    return next((chain for directory, chain in CHAINS.items() if nodeid.startswith(directory)), None)


class ByStack(LoadFileScheduling):
    """A file's tests share servers, and those of a chain share whole stacks."""

    def _split_scope(self, nodeid: str) -> str:
        return _chain(nodeid) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStack:
    return ByStack(config, log)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real Postgres and a real Redis."""
    directory: Path = tmp_path_factory.mktemp("servers")
    with running_servers(directory) as running:
        running.trust_the_machine()
        yield running


@pytest.fixture(scope="module")
def postgres_url(servers: Servers) -> str:
    """A migrated database of the module's own, in SQLAlchemy's form, as the role that owns it.

    With an empty broker: what the module before left there would run here.
    """
    servers.empty_broker()
    return servers.new_database()


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The session's Redis, emptied."""
    servers.empty_broker()
    return servers.redis_url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server with one bucket."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running
