"""Archives as streams of bytes: outputs as they are stored, one after the other, in constant memory.

Pictures are compressed already, so they are stored. Files that do not fit into 32 bits are taken (ZIP64).
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Final

from zipstream import ZIP_STORED, ZipStream  # type: ignore[import-untyped]

from pixmill_api.domain.archive_names import file_name
from pixmill_api.repositories import archive_entries
from pixmill_api.repositories.archive_entries import PAGE, Entry
from pixmill_shared.database.engine import Database
from pixmill_shared.storage import ObjectStore, StorageUnavailable

BLOCK: Final = 256 * 1024
"""Bytes, at least, of a block: each costs a change of threads, and an archive has three pieces a file."""

Named = tuple[str, Entry]


def named_of_job(entries: Iterable[Entry]) -> Iterator[Named]:
    """``web.png``."""
    return ((_filename(entry), entry) for entry in entries)


def named_of_batch(database: Database, batch_id: uuid.UUID) -> Iterator[Named]:
    """``{job_id}/web.png``, read page by page: no connection is held while a page is sent."""
    last = None
    while True:
        with database.session_scope() as session:
            page = archive_entries.of_batch(session, batch_id, last)
        for entry in page:
            yield f"{entry.job_id}/{_filename(entry)}", entry
        if len(page) < PAGE:
            return
        last = page[-1]


def zipped(named: Iterable[Named], store: ObjectStore) -> Iterator[bytes]:
    """The archive, in blocks. Raises StorageUnavailable and ObjectNotFound, in the middle too: what came until then is
    no archive.
    """
    return _blocks(_pieces(named, store))


def _pieces(named: Iterable[Named], store: ObjectStore) -> Iterator[bytes]:
    archive = ZipStream(compress_type=ZIP_STORED)
    for name, entry in named:
        archive.add(_whole(entry, store), name, size=entry.bytes)
        yield from archive.file()
    yield from archive.footer()


def _whole(entry: Entry, store: ObjectStore) -> Iterator[bytes]:
    sent = 0
    for part in store.stream(entry.key, 0, entry.bytes):
        sent += len(part)
        yield part
    if sent != entry.bytes:
        raise StorageUnavailable from ValueError(f"{entry.key} has {sent} bytes, its row says {entry.bytes}")


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _filename(entry: Entry) -> str:
    return file_name(entry.name, entry.key.rpartition(".")[2])
