"""Fixtures that more than one kind of test needs. Servers start at their first use, once a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3 import S3, running_s3
from tests.servers import Servers, running_servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real Postgres and a real Redis."""
    directory: Path = tmp_path_factory.mktemp("servers")
    with running_servers(directory) as running:
        yield running


@pytest.fixture(scope="module")
def postgres_url(servers: Servers) -> str:
    """A migrated database of the module's own, in SQLAlchemy's form, as the role that owns it."""
    return servers.new_database()


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The session's Redis, emptied."""
    import redis

    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server with one bucket."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running
