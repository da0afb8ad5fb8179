"""Outputs under the user's own names in the user's own storage, where a job has a destination."""

import uuid
from typing import Any

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.places import Place
from pixmill_shared.domain.recipe import Output, OutputNames, output_key
from pixmill_shared.errors import TransientError
from pixmill_shared.storage import ObjectNotFound, ObjectStore, StorageUnavailable
from pixmill_shared.storage.places import Places


class Copies:
    """Of one job. A name depends on the output alone, so doing it again writes the same bytes under the same name.

    Raises PermanentError if the destination is not allowed any more, TransientError while it cannot be written.
    """

    def __init__(self, job_id: uuid.UUID, destination: str | None, store: ObjectStore, places: Places | None) -> None:
        self._job_id = job_id
        self._destination = destination
        self._store = store
        self._places = places
        self._addresses: dict[str, str] = {}

    def put(self, output: Output, rendition: dict[str, Any], data: bytes) -> None:
        """Copy an output that was just made."""
        if self._destination is None:
            return
        if self._places is None:
            raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, "This worker does not write to destinations.")
        place = Place.parse(self._destination).below(output_key(output, self._names(rendition)))
        store, key = self._places.find(place)
        try:
            store.put(key, data, rendition["media_type"])
        except StorageUnavailable as error:
            # Theirs, not ours: pixmill does not wait for it for as long.
            raise TransientError(
                ErrorCode.STORAGE_UNAVAILABLE, f"{place} could not be written; pixmill tries again."
            ) from error
        self._addresses[output.name] = str(place)

    def address(self, output: Output, rendition: dict[str, Any]) -> str | None:
        """Where the output's copy is, made now if it is not there yet; None without a destination."""
        if self._destination is not None and output.name not in self._addresses:
            self.put(output, rendition, self._bytes_of(rendition))
        return self._addresses.get(output.name)

    def _names(self, rendition: dict[str, Any]) -> OutputNames:
        extension = str(rendition["storage_key"]).rpartition(".")[2]
        return OutputNames(str(self._job_id), extension, str(rendition["sha256"]))

    def _bytes_of(self, rendition: dict[str, Any]) -> bytes:
        try:
            return self._store.get(rendition["storage_key"])
        except ObjectNotFound as error:
            raise TransientError(
                ErrorCode.STORAGE_UNAVAILABLE, "An output that existed was removed meanwhile; pixmill tries again."
            ) from error
