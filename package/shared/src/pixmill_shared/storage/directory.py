"""Objects in a directory of one machine, or of a shared file system. Their URLs are served by the API."""

import asyncio
import datetime
import errno
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote

import obstore
from obstore.store import LocalStore

from pixmill_shared.storage.keys import check_key, is_unfinished
from pixmill_shared.storage.objects import Objects, writing
from pixmill_shared.storage.signing import FileUrlSigner
from pixmill_shared.storage.sources import AsyncSource


class DirectoryStore(Objects):
    """obstore writes ``<name>#<n>`` beside the object and renames it. Files and directories get the modes of the umask.

    What a killed writer leaves is such a ``#`` file, which no method shows. The directory is not touched before the
    first read or write: who only signs URLs need not have it.
    """

    def __init__(self, path: str, signer: FileUrlSigner, public_url: str) -> None:
        self._path = os.path.normpath(path)
        self._signer = signer
        self._public_url = public_url

    def put(self, key: str, data: bytes, media_type: str) -> None:
        super().put(key, data, media_type)
        self._flush(key)

    def put_stream(self, key: str, chunks: Iterable[bytes], media_type: str) -> None:
        super().put_stream(key, chunks, media_type)
        self._flush(key)

    def copy(self, source: str, target: str) -> None:
        """By a hard link: what replaces ``source`` later is another file."""
        super().copy(source, target)
        self._flush(target)

    def signed_url(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        query = self._signer.query(check_key(key), expires_at, media_type, filename)
        return f"{self._public_url}/files/{quote(key)}?{query}"

    def signed_put(self, key: str, expires_at: datetime.datetime, media_type: str) -> None:
        check_key(key)

    def remove_unfinished(self, before: datetime.datetime) -> int:
        with writing():
            return sum(_removed(entry, before.timestamp()) for entry in _unfinished(self._path))

    @cached_property
    def _client(self) -> Any:
        with writing():
            return LocalStore(self._path, mkdir=True)

    async def _written(self, key: str, source: AsyncSource, media_type: str) -> None:
        await super()._written(key, source, media_type)
        await asyncio.to_thread(self._flush, key)

    def _attributes(self, media_type: str) -> None:
        """Files have none: the media type is in the signed URL."""

    def _media_type(self, key: str) -> None:
        obstore.head(self._store, key)

    def _is_there(self, error: FileNotFoundError) -> bool:
        # A directory that went away (a volume that is not mounted) must not fail jobs for good.
        return os.path.isdir(self._path)

    def _flush(self, key: str) -> None:
        """To the disk: the file, and every directory that may be new. obstore leaves that to the kernel, and a row
        that says "stored" must not outlive the bytes. After the rename is early enough: nobody knows the key yet."""
        path = os.path.join(self._path, key)
        with writing():
            try:
                _fsync(path)
            except FileNotFoundError:
                return  # deleted again by somebody else
            while path != self._path:
                path = os.path.dirname(path)
                _fsync_directory(path)


def _unfinished(path: str) -> Iterator[os.DirEntry[str]]:
    """In constant memory, however many objects there are."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _unfinished(entry.path)
                elif is_unfinished(entry.name):
                    yield entry
    except FileNotFoundError:
        return  # never written to, or deleted meanwhile


def _removed(entry: os.DirEntry[str], before: float) -> bool:
    # A writer that lives writes: the file's time is that of its last part.
    try:
        if entry.stat(follow_symlinks=False).st_mtime > before:
            return False
        os.unlink(entry.path)
    except FileNotFoundError:
        return False
    return True


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_directory(path: str) -> None:
    try:
        _fsync(path)
    except OSError as error:
        # Some network file systems cannot flush a directory, and need not.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
