"""Archives that are built once, into the storage, by a worker."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pixmill_api.domain.media_types import ZIP
from pixmill_api.repositories import archive_entries
from pixmill_api.service.zipping import Named, named_of_batch, named_of_job, zipped
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import archive_name
from pixmill_shared.errors import PermanentError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.runtime import Runtime


class _Tally:
    """``bytes`` and ``sha256`` of what passes through."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._digest.update(block)
            self.bytes += len(block)
            yield block

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def build(clients: Runtime, builder: uuid.UUID, batch_id: uuid.UUID | None, job_id: uuid.UUID | None) -> dict[str, Any]:
    """``builder`` is the id of the task. What is kept of it: ``key`` is the object, ``state`` the contents' digest.

    The object is there as a whole or not at all, under a name of its own: who builds the same again writes another one.
    Raises PermanentError if there is nothing to build, ObjectNotFound, StorageUnavailable.
    """
    contents, named = _of_batch(clients, batch_id) if batch_id else _of_job(clients, job_id)
    if not contents.files:
        raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, "There is no output that could go into an archive.")
    key, tally = archive_name(builder, new_id()), _Tally(_made_aside(zipped(named, clients.store)))
    clients.store.put_stream(key, tally, ZIP)
    failpoint("archive.stored", builder)
    return {
        "key": key,
        "state": contents.digest,
        "files": contents.files,
        "bytes": tally.bytes,
        "sha256": tally.sha256,
    }


def _made_aside(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Each made by another thread while the one before is written: within a write obstore can make no other request."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def _of_batch(clients: Runtime, batch_id: uuid.UUID) -> tuple[archive_entries.Contents, Iterator[Named]]:
    with clients.database.session_scope() as session:
        contents = archive_entries.contents_of_batch(session, batch_id)
    return contents, named_of_batch(clients.database, batch_id)


def _of_job(clients: Runtime, job_id: uuid.UUID | None) -> tuple[archive_entries.Contents, Iterator[Named]]:
    if job_id is None:
        raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, "Neither a batch nor a job was named.")
    with clients.database.session_scope() as session:
        contents = archive_entries.contents_of_job(session, job_id)
        entries = archive_entries.of_job(session, job_id)
    return contents, named_of_job(entries)
