"""Bytes of one request of tus, made safe part by part."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import anyio
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from pixmill_api.domain.media_types import UNKNOWN
from pixmill_api.domain.tus import Checksum
from pixmill_api.errors import BodyStalled, BodyTooLarge, ChecksumRefused, UploadLocked
from pixmill_api.service.assembling import in_storage_thread
from pixmill_api.service.intake import discard
from pixmill_api.service.upload_locks import HeldLock
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import part_name
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import upload_sessions
from pixmill_shared.storage import ObjectStore


class PartWriter:
    """``offset``: bytes of the upload that are safe. What comes after a whole part is kept in memory until it is one,
    or until the body ends, in whatever way. ``left``: bytes that the upload may yet get.

    With a checksum nothing counts until all of the body is there and right: parts are stored, and noted at the end.
    """

    def __init__(
        self, store: ObjectStore, held: HeldLock, part_bytes: int, left: int, checksum: Checksum | None
    ) -> None:
        self.offset = held.row.received
        self._store = store
        self._held = held
        self._part_bytes = part_bytes
        self._checksum = checksum
        self._digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self._buffer = bytearray()
        self._stored: list[tuple[str, int]] = []
        self._left = left

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        """If the chunks break off, what came before is safe; if they are too many, what was stored by then.

        Raises BodyTooLarge, ChecksumRefused, UploadLocked, StorageUnavailable, and what the chunks raise.
        """
        try:
            async for chunk in chunks:
                await self._take(chunk)
            await self._store_rest()
        except (ClientDisconnect, BodyStalled, asyncio.CancelledError):
            if self._checksum is None:
                with anyio.CancelScope(shield=True):
                    await self._store_rest()
            raise
        finally:
            await self._forget_unnoted()

    async def _take(self, chunk: bytes) -> None:
        self._held.alive()
        if self._digest:
            self._digest.update(chunk)
        self._buffer += chunk
        self._left -= len(chunk)
        if self._left < 0:
            raise BodyTooLarge("The upload", self._held.row.length or 0)
        # The last part waits for the end of the body: there may be more than was announced.
        while len(self._buffer) >= self._part_bytes and (self._left or len(self._buffer) > self._part_bytes):
            data = bytes(memoryview(self._buffer)[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            await self._store_part(data)

    async def _store_rest(self) -> None:
        if self._buffer:
            data, self._buffer = bytes(self._buffer), bytearray()
            await self._store_part(data)
        if self._checksum is not None and self._digest is not None:
            if self._digest.digest() != self._checksum.digest:
                raise ChecksumRefused
            await self._note()

    async def _store_part(self, data: bytes) -> None:
        upload_id = self._held.row.id
        key = part_name(upload_id, new_id())
        with self._held.busy():
            self._stored.append((key, len(data)))
            await in_storage_thread(self._store.put, key, data, UNKNOWN)
            failpoint("upload.part_stored", upload_id)
            if self._checksum is None:
                await self._note()

    async def _note(self) -> None:
        if not self._stored:
            return
        # If the database breaks off, nobody knows whether the rows are there: the objects are left to the sweep.
        noted, self._stored = self._stored, []
        if not await run_in_threadpool(self._add, noted):
            self._stored = noted
            raise UploadLocked
        self.offset += sum(size for _, size in noted)
        failpoint("upload.part_noted", self._held.row.id)

    def _add(self, parts: list[tuple[str, int]]) -> bool:
        held = self._held
        with held.database.session_scope() as session:
            return upload_sessions.add_parts(session, held.row.id, held.owner, self.offset, parts)

    async def _forget_unnoted(self) -> None:
        with anyio.CancelScope(shield=True):
            for key, _ in self._stored:
                await in_storage_thread(discard, self._store, key)
