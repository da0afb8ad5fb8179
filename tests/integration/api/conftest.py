"""One API without keys for the tests of a module; they look at differences, so they may share it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.api.running import Api, running_api


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage") / "objects"


@pytest.fixture(scope="module")
def api(postgres_url: str, storage: Path) -> Iterator[Api]:
    """No broker is running."""
    with running_api(postgres_url, storage, PIXMILL_MAX_SOURCE_BYTES="1000000") as running:
        yield running
