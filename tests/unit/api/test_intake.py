"""Whether the object of a request stays, by how the request ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from pixmill_api.service.intake import kept_if_used
from pixmill_shared.storage.directory import DirectoryStore
from pixmill_shared.storage.signing import FileUrlSigner


def lost_connection() -> DBAPIError:
    return OperationalError("COMMIT", None, Exception("gone"), connection_invalidated=True)


def refused() -> DBAPIError:
    return OperationalError("INSERT", None, Exception("canceled"))


async def _chunks() -> AsyncIterator[bytes]:
    yield b"pixels"


def objects_after(directory: Path, *, use: bool, error: BaseException | None) -> int:
    """How many are left."""
    store = DirectoryStore(str(directory), FileUrlSigner(lambda: ("secret",)), "http://x")

    async def request() -> None:
        async with kept_if_used(store, _chunks(), "image/png", 100) as upload:
            if use:
                upload.row("project")
            if error:
                raise error

    with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        asyncio.run(request())
    return sum(1 for _ in store.list("uploads"))


@pytest.mark.parametrize(
    ("use", "error", "left"),
    [
        (True, None, 1),
        (False, None, 0),
        (True, ValueError(), 0),
        (True, refused(), 0),
        (False, lost_connection(), 0),
        (True, lost_connection(), 1),
        (False, asyncio.CancelledError(), 0),
        (True, asyncio.CancelledError(), 1),
    ],
    ids=[
        *("used", "not used", "failed", "refused by the database", "connection lost before the row"),
        *("connection lost with the row", "cancelled before the row", "cancelled with the row"),
    ],
)
def test_object_goes_unless_its_row_may_be_there(
    tmp_path: Path, use: bool, error: BaseException | None, left: int
) -> None:
    assert objects_after(tmp_path, use=use, error=error) == left
