"""What generates pictures, over one real database and storage, with a provider that a test tells what to do."""

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from tests.integration.imaging.farm import directory

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.providers.placeholder import PlaceholderProvider
from pixmill_imaging.providers.protocol import Picture, Provider, Subject, Unavailable
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.generate import Studio, generate
from pixmill_imaging.settings import GenerationSettings
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Generation, GenerationItem, Job, JobEvent
from pixmill_shared.domain.generation import chunks_of, distinct, safe_name
from pixmill_shared.plumbing.chunks import run_chunk
from pixmill_shared.repositories import chunks, generations
from pixmill_shared.repositories.generations import NewGeneration, NewItem
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.claims import Check
from pixmill_shared.settings.generation import PaceSettings
from pixmill_shared.settings.work import WorkSettings

RECIPE = {"outputs": [{"name": "picture", "format": "png", "operations": []}]}


class Painter:
    """A provider in this process. ``does`` is called with the number of the call; what it raises is raised."""

    name = "painter"
    price = 40_000
    identity = "painter/1"

    def __init__(self) -> None:
        self.drawn: list[str] = []
        self.does: Callable[[int, Subject], Picture | None] = lambda _number, _subject: None
        self._lock = threading.Lock()

    def draw(self, subject: Subject) -> Picture:
        with self._lock:
            self.drawn.append(subject.name)
            number = len(self.drawn)
        own = self.does(number, subject)
        return own or Picture(jpeg(photo(40 + number, 40)), "image/jpeg")


def clean_easel(database: Database, path: Path) -> "Easel":
    """Without rows of other tests."""
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, dead_letters, dispatch_marks, provider_meters CASCADE"))
    return Easel(database, str(path))


def painter(easel: "Easel") -> Painter:
    """That of an easel with a provider."""
    assert isinstance(easel.real, Painter)
    return easel.real


@dataclass
class Easel:
    """One database, one directory. ``patience`` is how many tries a picture has."""

    database: Database
    path: str
    real: Provider | Unavailable = field(default_factory=Painter)
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    rpm: int = 0
    patience: int = 3
    job_timeout: float = 1800

    def __post_init__(self) -> None:
        self.store = directory(self.path)
        self.runtime = Runtime()
        self.runtime.__dict__.update(database=self.database, work=WorkSettings(max_attempts=self.patience))

    def submit(self, *names: str, size: int = 3, at_once: int = 3, **changes: Any) -> uuid.UUID:
        """Names are prompts too."""
        safe = distinct(safe_name(name) for name in names)
        places = chunks_of(names, size)
        items = [NewItem("", name, name, safe[at], places[at]) for at, name in enumerate(names)]
        new = NewGeneration("default", 1, RECIPE, items, [""], at_once)
        with self.database.session_scope() as session:
            return generations.insert(session, replace(new, **changes))

    def due(self, most: int | None = None) -> list[uuid.UUID]:
        """Chunks that the dispatcher publishes now."""
        with self.database.session_scope() as session:
            return [row.id for row in chunks.WORK.take_due(session, [QueueName.GENERATE], 32, most)]

    def studio(self) -> Studio:
        engine = Engine(PillowLoader(), PixelLimits())
        card = PlaceholderProvider(FontBook())
        return Studio(
            *(self.database, self.store, engine, None, self.real, card, self.settings),
            *(PaceSettings(rpm=self.rpm), self.patience, self.job_timeout, random.Random(1)),
        )

    def run(self, chunk_id: uuid.UUID) -> None:
        """One message: claim, body, recorded end."""

        def body(chunk: chunks.ClaimedChunk, check: Check) -> None:
            generate(chunk, self.studio(), check)

        run_chunk(self.runtime, str(chunk_id), body)

    def work_off(self, passes: int = 100) -> None:
        """All that is due, and what ripens at once, until nothing is left."""
        for _ in range(passes):
            for chunk_id in (found := self.due()):
                self.run(chunk_id)
            if not found:
                return
            self.ripen()
        raise AssertionError("work is left")

    def ripen(self) -> None:
        """Whatever waits for a time, waits no longer."""
        with self.database.session_scope() as session:
            session.execute(text("UPDATE generation_chunks SET run_at = NULL WHERE run_at IS NOT NULL"))

    def job(self, job_id: uuid.UUID) -> Job:
        with self.database.session_scope() as session:
            return session.get_one(Job, job_id)

    def generation(self, job_id: uuid.UUID) -> Generation:
        with self.database.session_scope() as session:
            return session.get_one(Generation, job_id)

    def items(self, job_id: uuid.UUID) -> list[GenerationItem]:
        with self.database.session_scope() as session:
            return list(generations.items_of(session, job_id))

    def events(self, job_id: uuid.UUID) -> list[JobEvent]:
        query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        with self.database.session_scope() as session:
            return list(session.scalars(query))

    def scalar(self, sql: str) -> Any:
        with self.database.session_scope() as session:
            return session.execute(text(sql)).scalar_one()
