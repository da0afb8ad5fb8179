"""The images, built once a session."""

import pytest
from tests.integration.containers.build import Builder

from pixmill.local.postgres import find_postgres


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("images"), find_postgres(None).parent)
