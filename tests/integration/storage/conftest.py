"""Both kinds of store, each on the real thing."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.s3 import S3

from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, open_store
from pixmill_shared.storage.signing import FileUrlSigner

SECRET = "a key of the tests, long enough"
PUBLIC_URL = "http://pixmill.test"


@dataclass
class Place:
    """A store and what an outsider sees of it."""

    store: ObjectStore
    settings: StorageSettings
    leftovers: Callable[[], list[str]]
    """Files and uploads that were begun, and are no objects."""


def settings_for(variables: dict[str, str], **changes: Any) -> StorageSettings:
    given = {
        "url": variables["PIXMILL_STORAGE_URL"],
        "aws_access_key_id": variables.get("AWS_ACCESS_KEY_ID", ""),
        "aws_secret_access_key": variables.get("AWS_SECRET_ACCESS_KEY", ""),
        "aws_endpoint_url": variables.get("AWS_ENDPOINT_URL", ""),
        "timeout": 30,
    }
    return StorageSettings(**{**given, **changes})


def opened(settings: StorageSettings) -> ObjectStore:
    return open_store(settings, FileUrlSigner([SECRET]), PUBLIC_URL)


@pytest.fixture
def directory(tmp_path: Path) -> Place:
    """With characters in its path that a URL has to encode."""
    root = tmp_path / "objects of ü"
    settings = settings_for({"PIXMILL_STORAGE_URL": root.as_uri()})

    def leftovers() -> list[str]:
        return [str(path) for path in root.rglob("*#*") if path.is_file()]

    return Place(opened(settings), settings, leftovers)


@pytest.fixture
def bucket(s3: S3) -> Place:
    """With a prefix of its own."""
    settings = settings_for(s3.variables(f"tests/{uuid.uuid4().hex}"))
    before = set(s3.unfinished_uploads())
    return Place(opened(settings), settings, lambda: [path for path in s3.unfinished_uploads() if path not in before])


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> ObjectStore:
    return place.store
