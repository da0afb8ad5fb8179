"""A chunk of a job that generates: a picture of each of its items, by a model or by what stands in for one.

An item that is finished is a row, and is never made again. What passes is waited for as a row too: the chunk is given
back until the provider may answer. What does not pass is the item's: it gets what the job wants in such a case.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pixmill_imaging import metrics
from pixmill_imaging.errors import Charged
from pixmill_imaging.providers.protocol import Provider, Subject, Unavailable
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.generated import Outputs, Workshop, digest_of
from pixmill_imaging.settings import GenerationSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.backoff import exponential
from pixmill_shared.domain.failures import error_document
from pixmill_shared.domain.generation import Fallback, time_limit
from pixmill_shared.domain.recipe import TAKEN, parse_recipe
from pixmill_shared.errors import ClaimLost, PermanentError, TransientError, WorkError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import chunks, provider_calls, renditions
from pixmill_shared.repositories.chunks import ClaimedChunk, Item, Result
from pixmill_shared.service.claims import Check
from pixmill_shared.settings.generation import PaceSettings
from pixmill_shared.storage import ObjectStore
from pixmill_shared.storage.places import Places

log = get_logger(__name__)

LONGEST_WAIT: Final = 10.0
"""Seconds that a thread waits for its turn at a provider; a longer wait is a row's."""
_LOOK: Final = 0.2
"""Seconds between two looks whether the turn has come, or the claim is gone."""
_PATIENT: Final = 10
"""Calls for an item, if the provider says each time when to come again."""
_TOO_LONG: Final = 600.0
"""Seconds that a provider may ask for. One that wants more has no picture for anybody who waits."""

#: What the provider sent cannot be used, and the next time it may be.
_GARBAGE: Final = frozenset(
    {
        ErrorCode.UNDECODABLE,
        ErrorCode.UNSUPPORTED_FORMAT,
        ErrorCode.TOO_MANY_PIXELS,
        ErrorCode.TOO_MANY_FRAMES,
    }
)


@dataclass(frozen=True)
class Studio:
    """What chunks are worked on with. ``job_timeout``: seconds for a job of 100 items; ``sleep`` takes seconds."""

    database: Database
    store: ObjectStore
    engine: Engine
    destinations: Places | None
    real: Provider | Unavailable
    placeholder: Provider
    settings: GenerationSettings
    pace: PaceSettings
    max_attempts: int
    job_timeout: float
    rng: random.Random
    sleep: Callable[[float], None] = time.sleep


class Later(Exception):
    """The rest of the chunk is for later: in ``delay`` seconds."""

    def __init__(self, delay: float, error: WorkError | None = None) -> None:
        super().__init__(delay)
        self.delay = delay
        self.error = error


def generate(chunk: ClaimedChunk, studio: Studio, check: Check) -> None:
    """Raises PermanentError if the job wants to fail with its first refusal; TransientError while the storage is away;
    and what ``check`` raises, which is called between the steps of the work.
    """
    waits: list[Later] = []
    worker = _Worker(chunk, studio, check)
    with studio.database.session_scope() as session:
        items = chunks.unfinished(session, chunk)
    for item in items:
        check()
        try:
            worker.work(item)
        except Later as wait:
            # The others need not wait for this one; unless it is the provider that nobody may call.
            waits.append(wait)
            if wait.error is None:
                break
    if not waits:
        _finish(chunk, studio)
        return
    # None before its time: each has so many tries, and what it waits for lasts.
    delay = max(wait.delay for wait in waits)
    failed = next((wait.error for wait in waits if wait.error is not None), None)
    error = error_document(failed.code, failed.detail) if failed else None
    with studio.database.session_scope() as session:
        chunks.retry(session, chunk, delay, error, counted=False)


def _finish(chunk: ClaimedChunk, studio: Studio) -> None:
    failpoint("chunk.done", chunk.id)
    with studio.database.session_scope() as session:
        if not chunks.hold(session, chunk):
            raise ClaimLost(f"the claim of chunk {chunk.id} is gone")
        chunks.finish(session, chunk)
    failpoint("chunk.finished", chunk.id)


class _Worker:
    """Of one claim."""

    def __init__(self, chunk: ClaimedChunk, studio: Studio, check: Check) -> None:
        self._chunk = chunk
        self._studio = studio
        self._check = check
        self._until = time.monotonic() + time_limit(studio.job_timeout, chunk.job_items) - chunk.job_age
        recipe = parse_recipe(chunk.recipe, TAKEN)
        self._shop = Workshop(
            *(chunk, recipe, studio.database, studio.store, studio.engine, studio.destinations, check)
        )

    def work(self, item: Item) -> None:
        """Finish the item. Raises Later."""
        real = self._studio.real
        if isinstance(real, Unavailable):
            self._fall_back(item, PermanentError(real.code, real.detail))
            return
        digest = digest_of(real.identity, item.prompt) if self._chunk.cache else None
        if digest is not None and (known := self._shop.known(item, digest)) is not None:
            self._keep(item, known, Result(success=True, provider=real.name, cached=True))
            return
        started = time.monotonic()
        try:
            made = self._drawn(real, item, digest)
        except PermanentError as error:
            self._fall_back(item, error)
        except TransientError as error:
            self._again(item, real, error)
        else:
            took = round((time.monotonic() - started) * 1000)
            self._keep(item, made, Result(success=True, provider=real.name, duration_ms=took))

    def _drawn(self, real: Provider, item: Item, digest: str | None) -> Outputs:
        if item.attempts:
            # Perhaps its picture could not be stored: it is not paid for again while that is so.
            self._shop.try_storage()
        self._begin_call(real, item)
        failpoint("item.begun", self._chunk.id)
        begun = time.monotonic()
        try:
            picture = real.draw(Subject(item.name, item.category, item.prompt))
        except WorkError as error:
            metrics.CALLS.labels(real.name, error.code).inc()
            if not isinstance(error, Charged):
                with self._studio.database.session_scope() as session:
                    provider_calls.refund(session, self._chunk, real.price)
            raise
        metrics.CALLS.labels(real.name, "picture").inc()
        metrics.SECONDS.labels(real.name).observe(time.monotonic() - begun)
        failpoint("item.drawn", self._chunk.id)
        self._check()
        try:
            return self._shop.make(item, picture.data, digest)
        except PermanentError as error:
            if error.code not in _GARBAGE:
                raise
            raise TransientError(
                ErrorCode.PROVIDER_UNAVAILABLE, f"What the provider sent is no picture that can be used: {error.detail}"
            ) from error

    def _begin_call(self, real: Provider, item: Item) -> None:
        """Wait for the turn, and pay. Raises Later, and PermanentError if the job may not spend that much."""
        settings, waited = self._studio.settings, 0.0
        while True:
            with self._studio.database.session_scope() as session:
                seconds = provider_calls.wait(session, real.name)
                if seconds <= 0:
                    paid = provider_calls.begin(
                        *(session, self._chunk, item),
                        provider=real.name,
                        price=real.price,
                        budget=settings.budget,
                        pause=self._studio.pace.pause,
                    )
                    break
            if seconds > self._left():
                raise PermanentError(
                    ErrorCode.PROVIDER_UNAVAILABLE,
                    "The provider asked for a pause that is longer than the job may take.",
                )
            if waited + seconds > LONGEST_WAIT:
                raise Later(seconds)
            pause = min(seconds, _LOOK)
            self._studio.sleep(pause)
            waited += pause
            self._check()
        if not paid:
            raise PermanentError(
                ErrorCode.BUDGET_EXCEEDED,
                f"The job may cost {settings.budget_dollars:g} US dollars (PIXMILL_GENERATION_BUDGET), and has.",
            )

    def _left(self) -> float:
        """Seconds until the job fails for the time that it took: better a card than that."""
        return self._until - time.monotonic()

    def _again(self, item: Item, real: Provider, error: TransientError) -> None:
        """Raises Later, or falls back if the tries are used up."""
        if error.code != ErrorCode.PROVIDER_UNAVAILABLE:
            raise error
        tries = item.attempts + 1
        if (error.retry_after or 0) > min(_TOO_LONG, self._left()):
            self._fall_back(item, error)
            return
        if error.retry_after is not None:
            with self._studio.database.session_scope() as session:
                provider_calls.pause(session, real.name, error.retry_after)
        if tries >= (self._studio.max_attempts if error.retry_after is None else _PATIENT):
            self._fall_back(item, error)
            return
        log.info("the provider did not make a picture, trying again", item=item.position, detail=error.detail)
        raise Later(exponential(tries, error.retry_after, self._studio.rng), error)

    def _fall_back(self, item: Item, why: WorkError) -> None:
        """What the job wants of an item that no model made a picture of. Raises PermanentError if that is to fail."""
        if self._chunk.fallback == Fallback.FAIL:
            raise PermanentError(why.code, f"No picture of {item.name[:100]!r} could be made: {why.detail}") from why
        error = error_document(why.code, why.detail)
        if self._chunk.fallback == Fallback.SKIP:
            self._keep(item, None, Result(success=False, provider=None, error=error))
            return
        card = self._studio.placeholder
        picture = card.draw(Subject(item.name, item.category, item.prompt))
        try:
            made = self._shop.make(item, picture.data, None)
        except PermanentError as unfit:
            # The recipe cannot be applied to a card.
            error = error_document(unfit.code, unfit.detail)
            self._keep(item, None, Result(success=False, provider=None, error=error))
            return
        self._keep(item, made, Result(success=False, provider=card.name, error=error))

    def _keep(self, item: Item, made: Outputs | None, result: Result) -> None:
        made = made or Outputs([], None, "")
        failpoint("item.made", self._chunk.id)
        kept: list[str] = []
        with self._studio.database.session_scope() as session:
            held = chunks.hold(session, self._chunk)
            there = held and renditions.lock(session, made.linked)
            if there:
                kept = chunks.finish_item(session, self._chunk, item, made.result(result))
            if made.is_mixed(kept):
                session.rollback()
                kept, there = [], False
        failpoint("item.finished", self._chunk.id)
        self._shop.remove(set(made.written) - set(kept))
        if not held:
            raise ClaimLost(f"the claim of chunk {self._chunk.id} is gone")
        if not there:
            raise Later(
                _LOOK,
                TransientError(
                    ErrorCode.STORAGE_UNAVAILABLE, "A picture was removed, or made by another job meanwhile."
                ),
            )
