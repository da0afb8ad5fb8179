"""Who works on jobs that generate when all goes wrong: a provider that fails, an outlet that publishes again, workers
whose threads go silent in the middle and wake up again.
"""

import json
import queue
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from pixmill_imaging.providers.protocol import Picture, Subject
from pixmill_imaging.service.generate import generate
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.kinds import Kind
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.errors import ClaimLost, PermanentError, TransientError, WorkError
from pixmill_shared.plumbing.chunks import run_chunk
from pixmill_shared.repositories.chunks import ClaimedChunk
from pixmill_shared.repositories.leases import CHUNKS
from pixmill_shared.repositories.work import Due
from pixmill_shared.service.claims import Check
from pixmill_shared.service.leases import LeaseKeeper, Work
from pixmill_shared.settings.work import WorkSettings
from tests.integration.imaging.studio import Easel

Messages = queue.Queue[uuid.UUID]

PICTURES = [jpeg(photo(30 + number, 30)) for number in range(8)]
SILENT_AT = ("item.begun", "item.drawn", "item.stored", "item.made", "chunk.done")
"""Failpoints: before and after what costs money, and right before what is written."""


@dataclass
class Seen:
    """What is in no row. ``expired``: leases that ran out; ``most``: chunks that were worked on at once; ``errors``
    were raised in a thread, and are counted.
    """

    submitted: int = 0
    canceled: int = 0
    deleted: int = 0
    drawn: int = 0
    expired: int = 0
    most: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def tell(self, error: BaseException) -> None:
        """By its first line: the rest is the statement."""
        self.errors[f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"] += 1


@dataclass(frozen=True)
class FailingProvider:
    """What a ``Painter`` does: of twenty calls two are answered with 500, one with 429, and one is refused."""

    seed: int

    def __call__(self, number: int, _subject: Subject) -> Picture:
        dice = random.Random(f"{self.seed} {number}")
        time.sleep(dice.choice((0, 0.02, 0.05)))
        fate = dice.random()
        if fate < 0.1:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 500.")
        if fate < 0.15:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 429.", 0.3)
        if fate < 0.2:
            raise PermanentError(ErrorCode.PROVIDER_REFUSED, "No.")
        return Picture(dice.choice(PICTURES), "image/jpeg")


@dataclass
class DoublingOutlet:
    """Publishes into a queue of this process; of four messages one twice, and with one an older one comes again."""

    messages: Messages
    settings: WorkSettings
    dice: random.Random
    errors: tuple[type[BaseException], ...] = ()
    past: deque[uuid.UUID] = field(default_factory=lambda: deque(maxlen=20))

    def take(self, session: Session, kind: Kind) -> list[Due]:
        return kind.work.take_due(session, kind.queues, self.settings.window, kind.most(self.settings))

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            chunk_id = uuid.UUID(message.payload["chunk_id"])
            self.past.append(chunk_id)
            for each in self.dice.choice(([], [], [chunk_id], [self.dice.choice(self.past)])):
                self.messages.put(each)
            self.messages.put(chunk_id)

    def disconnect(self) -> None:
        """Nothing is open."""


@dataclass
class SilentWorker:
    """A process of imaging-io: threads that claim under one name, and the keeper of their leases, which has connections
    of its own (``keeping``). Of the part ``silent`` of its claims it does not keep the lease, and hangs in them, for up
    to two leases.
    """

    easel: Easel
    keeping: Database
    messages: Messages
    failpoints: Path
    silent: float
    dice: random.Random
    seen: Seen

    def __post_init__(self) -> None:
        self._studio = self.easel.studio()
        runtime = self.easel.runtime
        self._keeper = LeaseKeeper(self.keeping, runtime.worker_name, runtime.work, longest=60)

    @contextmanager
    def keeping_leases(self) -> Iterator[None]:
        """Around the block."""
        self._keeper.start()
        try:
            yield
        finally:
            self._keeper.stop()

    def work(self) -> None:
        """One message, if there is one."""
        try:
            chunk_id = self.messages.get(timeout=0.1)
        except queue.Empty:
            return
        token = threading.get_ident()
        self._keeper.add(token, Work(CHUNKS, chunk_id))
        try:
            run_chunk(self.easel.runtime, str(chunk_id), self._body)
        finally:
            self._keeper.remove(token)

    def _body(self, chunk: ClaimedChunk, check: Check) -> None:
        at_once = self.easel.scalar("SELECT count(*) FROM generation_chunks WHERE status = 'processing'")
        self.seen.most = max(self.seen.most, at_once)
        hang = self._silenced(chunk) if self.dice.random() < self.silent else None
        try:
            generate(chunk, self._studio, check)
        except (WorkError, ClaimLost):
            raise
        except Exception as error:
            # It would be tried again, and nobody would know.
            self.seen.tell(error)
            raise
        finally:
            if hang is not None:
                hang.unlink(missing_ok=True)

    def _silenced(self, chunk: ClaimedChunk) -> Path:
        """The claim is kept no more, and hangs once."""
        self._keeper.remove(threading.get_ident())
        order = {"action": "sleep", "seconds": self.dice.uniform(0.5, 2) * self.easel.runtime.work.lease}
        armed = self.failpoints / f"{self.dice.choice(SILENT_AT)}@{chunk.id}"
        armed.write_text(json.dumps(order))
        return armed
