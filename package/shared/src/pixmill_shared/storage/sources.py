"""What a streamed write reads from, watched: obstore wraps what a source raises, and cannot be cancelled cleanly."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any


class Withdrawn(Exception):
    """Ends a write from inside, which is how obstore is told to clean up after it."""


class Source:
    """``failure`` is what the chunks raised, if they did."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise


class AsyncSource:
    """``failure`` is what the chunks raised, if they did. ``withdraw()`` makes them end in an error."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)
        self._waiting: asyncio.Task[Any] | None = None
        self._withdrawn = False
        self.failure: BaseException | None = None

    def withdraw(self) -> None:
        self._withdrawn = True
        if self._waiting is not None:
            self._waiting.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._withdrawn:
            raise Withdrawn
        # obstore runs each step as a task of its own, so that cancelling it touches nothing else.
        self._waiting = asyncio.current_task()
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            if self._withdrawn:
                raise Withdrawn from error
            self.failure = error
            raise
        finally:
            self._waiting = None


async def ended(write: asyncio.Future[Any]) -> bool:
    """Wait for a withdrawn write however often the caller is cancelled; whether it was finished none the less."""
    while not write.done():
        try:
            await asyncio.wait([write])
        except asyncio.CancelledError:
            continue
    return not write.cancelled() and write.exception() is None
