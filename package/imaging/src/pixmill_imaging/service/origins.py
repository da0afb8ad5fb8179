"""Where a job's source is: a URL in the world, or a key in storage of the user's own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.places import Place
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.storage import ObjectNotFound, StorageUnavailable
from pixmill_shared.storage.apart import read_apart
from pixmill_shared.storage.places import Places


@dataclass(frozen=True)
class Opened:
    """``bytes`` are as many as were announced, None if nobody did."""

    chunks: Iterator[bytes]
    bytes: int | None


@contextmanager
def opened(
    source: dict[str, Any], egress: EgressClient, places: Places | None, settings: EgressSettings
) -> Iterator[Opened]:
    """The source's bytes in chunks, within the limits on bytes and seconds. Raises the errors of ``egress`` and
    ``storage``, here or from the chunks.
    """
    if "key" in source:
        yield _object(Place.parse(source["key"]), places, settings)
        return
    most, seconds = settings.max_source_bytes, settings.fetch_timeout
    with egress.download(source["url"], max_bytes=most, deadline=seconds) as download:
        yield Opened(download.chunks, download.content_length)


def _object(place: Place, places: Places | None, settings: EgressSettings) -> Opened:
    until = time.monotonic() + settings.fetch_timeout
    if places is None:
        raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, "This worker does not read from storage of users.")
    store, key = places.find(place)
    with _told_of_the_object(place):
        size = store.head(key).size
    if size > settings.max_source_bytes:
        limit = f"{settings.max_source_bytes:,}"
        raise PermanentError(ErrorCode.TOO_LARGE, f"The object {place} has {size:,} bytes; the limit is {limit}.")
    return Opened(_read(store.stream(key, 0, size), place, until), size)


def _read(chunks: Iterator[bytes], place: Place, until: float) -> Iterator[bytes]:
    with _told_of_the_object(place):
        # A store has a time-out a request; a large object takes several.
        for chunk in read_apart(chunks):
            if time.monotonic() > until:
                raise TransientError(ErrorCode.SOURCE_TIMEOUT, f"Reading {place} took too long.")
            yield chunk


@contextmanager
def _told_of_the_object(place: Place) -> Iterator[None]:
    try:
        yield
    except ObjectNotFound as error:
        raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, f"There is no object {place}.") from error
    except StorageUnavailable as error:
        # Theirs, not ours: pixmill does not wait for it for as long.
        raise TransientError(
            ErrorCode.STORAGE_UNAVAILABLE, f"{place} could not be read; pixmill tries again."
        ) from error
