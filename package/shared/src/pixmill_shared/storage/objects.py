"""The stores of obstore: the only module that knows the library.

Safe under prefork as pixmill uses it: a store may be built before a fork, but its first request must come after it
(obstore's runtime has threads). Worker processes make their requests in the children only.
"""

import datetime
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from pixmill_shared.storage.signing import FileUrlSigner
from pixmill_shared.storage.store import ObjectInfo, ObjectNotFound, StorageUnavailable

CHUNK: Final = 5 * 1024 * 1024
"""Bytes of a part of a streamed write; S3 takes no smaller ones."""

READ_CHUNK: Final = 256 * 1024


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFound from error
    except (exceptions.BaseError, OSError) as error:
        raise StorageUnavailable from error


class _Objects:
    """What all kinds of store have in common."""

    def __init__(self, store: Any, *, attributes: bool) -> None:
        self._store = store
        self._attributes = attributes

    def _attributes_of(self, media_type: str) -> dict[str, str] | None:
        return {"Content-Type": media_type} if self._attributes else None

    def put(self, key: str, data: bytes, media_type: str) -> None:
        with _translated():
            obstore.put(self._store, key, data, attributes=self._attributes_of(media_type))

    def put_stream(self, key: str, chunks: Iterable[bytes], media_type: str) -> None:
        failure: list[BaseException] = []

        def guarded() -> Iterator[bytes]:
            try:
                yield from chunks
            except BaseException as error:
                failure.append(error)
                raise

        try:
            with _translated():
                obstore.put(
                    self._store,
                    key,
                    guarded(),
                    attributes=self._attributes_of(media_type),
                    chunk_size=CHUNK,
                    max_concurrency=2,
                )
        except BaseException:
            if failure:
                raise failure[0] from None
            raise

    async def put_stream_async(self, key: str, chunks: AsyncIterable[bytes], media_type: str) -> None:
        failure: list[BaseException] = []

        async def guarded() -> AsyncIterator[bytes]:
            try:
                async for chunk in chunks:
                    yield chunk
            except BaseException as error:
                failure.append(error)
                raise

        try:
            with _translated():
                await obstore.put_async(
                    self._store,
                    key,
                    guarded(),
                    attributes=self._attributes_of(media_type),
                    chunk_size=CHUNK,
                    max_concurrency=2,
                )
        except BaseException:
            if failure:
                raise failure[0] from None
            raise

    def get(self, key: str) -> bytes:
        with _translated():
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        position = start
        while position < end:
            stop = min(position + READ_CHUNK * 16, end)
            with _translated():
                part = bytes(obstore.get_range(self._store, key, start=position, end=stop))
            yield part
            position = stop

    def head(self, key: str) -> ObjectInfo:
        with _translated():
            return _info(obstore.head(self._store, key))

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        try:
            with _translated():
                obstore.delete(self._store, key)
        except ObjectNotFound:
            return

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _translated():
            for batch in obstore.list(self._store, prefix=prefix):
                for meta in batch:
                    yield _info(meta)


class DirectoryStore(_Objects):
    """A directory on one machine, or on a shared file system. Its URLs are served by the API."""

    def __init__(self, path: str, signer: FileUrlSigner, public_url: str) -> None:
        super().__init__(LocalStore(path, mkdir=True), attributes=False)
        self._signer = signer
        self._public_url = public_url

    def signed_url(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        return f"{self._public_url}/files/{key}?{self._signer.query(key, expires_at, media_type, filename)}"


class BucketStore(_Objects):
    """S3 and compatible servers, Google Cloud Storage, Azure. Its URLs are the provider's own, presigned."""

    def __init__(self, store: S3Store | GCSStore | AzureStore) -> None:
        super().__init__(store, attributes=True)

    def signed_url(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        remaining = expires_at - datetime.datetime.now(datetime.UTC)
        with _translated():
            return obstore.sign(self._store, "GET", key, max(remaining, datetime.timedelta(seconds=1)))


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(key=meta["path"], size=meta["size"], modified=meta["last_modified"])
