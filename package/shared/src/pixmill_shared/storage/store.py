"""The one protocol of all stores, and its errors.

PixmillError
 |- InvalidKey                 a key that not every store can hold: the caller's mistake, found before any I/O
 |- WorkError
     |- PermanentError
     |   |- ObjectNotFound     there is no object under the key
     |- OutageError
         |- StorageUnavailable the store did not answer, refused, is full, or its bucket is missing; may pass
"""

import datetime
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import OutageError, PermanentError, PixmillError


class InvalidKey(PixmillError, ValueError):
    """The message says which rule the key breaks. Keys are minted by pixmill, so this is an error in its code."""


class ObjectNotFound(PermanentError):
    """The object was deleted, or never finished."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.SOURCE_NOT_FOUND, "The stored bytes of the source are gone.")


class StorageUnavailable(OutageError):
    """The cause is chained; it may name buckets and hosts, so it is logged but never shown."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.STORAGE_UNAVAILABLE, "The storage did not answer; pixmill tries again.")


@dataclass(frozen=True)
class ObjectInfo:
    """``size`` in bytes; ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime.datetime


@dataclass(frozen=True)
class SignedPut:
    """A PUT to ``url`` with ``headers`` writes one object."""

    url: str
    headers: dict[str, str]


class ObjectStore(Protocol):
    """Keys are as ``keys.py`` says. No key may lie below another one (``a`` and ``a/b``): a directory cannot hold both.

    Every write is atomic: a reader sees the old object, none, or the new one, never a part. A write that returned
    survives a power cut. All methods raise InvalidKey and StorageUnavailable; reads raise ObjectNotFound. A request
    to a bucket ends within twice the configured timeout, its retries included.
    """

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Write or replace one object."""

    def put_stream(self, key: str, chunks: Iterable[bytes], media_type: str) -> None:
        """Write in constant memory. An error raised by ``chunks`` comes out as it is, and nothing is written."""

    async def put_stream_async(self, key: str, chunks: AsyncIterable[bytes], media_type: str) -> None:
        """As ``put_stream``, for the API. A cancelled write is undone before the cancellation comes out."""

    def get(self, key: str) -> bytes:
        """The whole object in memory: sources are bounded by a limit of their own."""

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive, at most the object's size), in chunks of one and the same object.

        Raises StorageUnavailable if it is replaced meanwhile.
        """

    def head(self, key: str) -> ObjectInfo:
        """Size and time, without the bytes."""

    def exists(self, key: str) -> bool:
        """Whether a whole object is there."""

    def delete(self, key: str) -> None:
        """Remove; absent is fine."""

    def copy(self, source: str, target: str) -> None:
        """Write ``target`` from what ``source`` is now, without its bytes passing through this process. ``target`` may
        tell the time at which ``source`` was written. Buckets copy 5 GiB at most.
        """

    def media_type(self, key: str) -> str | None:
        """What the object was written with; None where the store keeps no media types."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below ``prefix`` (whole segments: ``a`` lists ``a/b``, not ``ab``; empty: all), in no order."""

    def remove_unfinished(self, before: datetime.datetime) -> int:
        """Remove what writers that were killed left behind before then, by the store's clock; how many files.

        Buckets: 0. Their unfinished uploads are for a lifecycle rule (see docs/decisions/object-store.md).
        """

    def signed_url(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        """A URL that a browser can open until ``expires_at``.

        Directories answer with ``media_type`` and ``filename``; buckets with the media type that the object was
        written with and no file name (see docs/decisions/object-store.md).
        """

    def signed_put(self, key: str, expires_at: datetime.datetime, media_type: str) -> SignedPut | None:
        """What writes the object from outside until ``expires_at``, again and again. None: a directory has no way in.

        Nothing binds who has it to a size, a hash or the media type: look at what came.
        """
