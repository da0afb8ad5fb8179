"""What all stores of obstore have in common.

Safe under prefork as pixmill uses it: a store may be built before a fork, but its first request must come after it
(see ``forks.py``). Worker processes make their requests in the children only.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore import exceptions

from pixmill_shared.storage.forks import enter_library
from pixmill_shared.storage.keys import check_key, check_prefix
from pixmill_shared.storage.sources import AsyncSource, Source, ended
from pixmill_shared.storage.store import ObjectInfo, ObjectNotFound, StorageUnavailable

if TYPE_CHECKING:
    from obstore import GetOptions

PART: Final = 5 * 1024 * 1024
"""Bytes of a part of a streamed write; S3 takes no smaller ones."""
READ_AHEAD: Final = 4 * 1024 * 1024
"""Bytes of a read of a stream: one request to a bucket each."""


@contextmanager
def writing() -> Iterator[None]:
    """Nothing that is missing is the caller's object: it is a bucket or a directory."""
    try:
        yield
    except (exceptions.BaseError, OSError) as error:
        raise StorageUnavailable from error


class Objects(ABC):
    """Reads and writes; where they go, and how URLs look, subclasses say."""

    def put(self, key: str, data: bytes, media_type: str) -> None:
        check_key(key)
        with writing():
            obstore.put(self._store, key, data, attributes=self._attributes(media_type), chunk_size=PART)

    def put_stream(self, key: str, chunks: Iterable[bytes], media_type: str) -> None:
        check_key(key)
        source = Source(chunks)
        try:
            with writing():
                obstore.put(self._store, key, source, **self._streamed(media_type))
        except BaseException:
            if source.failure:
                raise source.failure from None
            raise

    async def put_stream_async(self, key: str, chunks: AsyncIterable[bytes], media_type: str) -> None:
        check_key(key)
        source = AsyncSource(chunks)
        write = asyncio.ensure_future(self._written(key, source, media_type))
        try:
            with writing():
                await asyncio.shield(write)
        except asyncio.CancelledError:
            source.withdraw()
            if await ended(write):
                await ended(asyncio.ensure_future(obstore.delete_async(self._store, key)))
            raise
        except BaseException:
            if source.failure:
                raise source.failure from None
            raise

    def get(self, key: str) -> bytes:
        check_key(key)
        with self._reading():
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        check_key(key)
        return self._chunks(key, start, end)

    def head(self, key: str) -> ObjectInfo:
        check_key(key)
        with self._reading():
            return _info(self._meta(key))

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._reading():
                obstore.delete(self._store, key)
        except ObjectNotFound:
            return

    def copy(self, source: str, target: str) -> None:
        check_key(source)
        check_key(target)
        with self._reading():
            obstore.copy(self._store, source, target)

    def media_type(self, key: str) -> str | None:
        check_key(key)
        with self._reading():
            return self._media_type(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return self._listed(prefix)

    @property
    @abstractmethod
    def _client(self) -> Any:
        """obstore's store."""

    @abstractmethod
    def _attributes(self, media_type: str) -> dict[str, str] | None:
        """What is kept with an object."""

    @abstractmethod
    def _is_there(self, error: FileNotFoundError) -> bool:
        """Whether it is only the object that is missing, not the whole store."""

    @abstractmethod
    def _media_type(self, key: str) -> str | None:
        """What was kept. Raises FileNotFoundError."""

    @property
    def _store(self) -> Any:
        enter_library()
        return self._client

    async def _written(self, key: str, source: AsyncSource, media_type: str) -> None:
        await obstore.put_async(self._store, key, source, **self._streamed(media_type))

    def _meta(self, key: str) -> Any:
        return obstore.head(self._store, key)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self._is_there(error):
                raise ObjectNotFound from error
            raise StorageUnavailable from error
        except (exceptions.BaseError, OSError) as error:
            raise StorageUnavailable from error

    def _streamed(self, media_type: str) -> dict[str, Any]:
        return {"attributes": self._attributes(media_type), "chunk_size": PART, "max_concurrency": 2}

    def _chunks(self, key: str, start: int, end: int) -> Iterator[bytes]:
        # Not one long answer: a bucket's ends at the timeout, however slow the one who reads it.
        seen: GetOptions = {}
        while start < end:
            with self._reading():
                result = obstore.get(self._store, key, options={**seen, "range": (start, min(start + READ_AHEAD, end))})
                part = bytes(result.bytes())
            if e_tag := result.meta["e_tag"]:
                seen = {"if_match": e_tag}
            yield part
            start += len(part)

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._reading():
            for batch in obstore.list(self._store, prefix=prefix):
                for meta in batch:
                    yield _info(meta)


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(key=meta["path"], size=meta["size"], modified=meta["last_modified"])
