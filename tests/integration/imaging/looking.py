"""Pipelines for tests, and workers that look at their sources: within the test, or, run as a program, as children of a
process that forks another one each time that one is killed.
"""

import os
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from pixmill_imaging.domain.feeds import read_xml_feed  # noqa: F401 - loaded before the fork
from pixmill_imaging.service.ingest import Ingest, check_pipelines
from pixmill_imaging.service.sources import Reader
from pixmill_imaging.settings import IngestSettings
from pixmill_shared import failpoints
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job, Pipeline, PipelineItem, PipelineRun
from pixmill_shared.domain.ids import new_id
from pixmill_shared.egress import EgressClient
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage.places import Places

RECIPE = {"outputs": [{"name": "web", "format": "png", "operations": [{"op": "resize", "width": 64}]}]}


def feed(count: int, first: int = 0, host: str = "pictures.example") -> bytes:
    """RSS with so many pictures."""
    items = "".join(
        f'<item><guid>g{n}</guid><enclosure url="https://{host}/{n}.jpg" type="image/jpeg"/></item>'
        for n in range(first, first + count)
    )
    return f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()


@dataclass
class Watch:
    """A worker over one database. ``places`` are what storage pipelines may read."""

    database: Database
    places: Places | None = None
    attempts: int = 3

    def make(self, source: dict[str, Any], **changes: Any) -> uuid.UUID:
        """A pipeline that is due."""
        values: dict[str, Any] = {
            "id": new_id(),
            "project": "default",
            "name": "Photos",
            "source": source,
            "preset": "web@3",
            "preset_version": 3,
            "recipe": RECIPE,
            "cron": "0 3 * * *",
            "timezone": "UTC",
            "run_at": func.clock_timestamp(),
            **changes,
        }
        with self.database.session_scope() as session:
            session.add(Pipeline(**values))
        return uuid.UUID(str(values["id"]))

    def check(self, *, most: int = 10_000, **admission: Any) -> dict[str, int]:
        """One tick."""
        clients = Runtime()
        clients.__dict__.update(database=self.database, work=WorkSettings(max_attempts=self.attempts))
        fetching = EgressSettings(allow="127.0.0.1", fetch_timeout=60)
        settings = IngestSettings(max_items=most, max_bytes=200_000)
        places: Any = self.places
        reader = Reader(EgressClient(fetching), places, fetching, settings)
        return check_pipelines(Ingest(clients, reader, AdmissionSettings(**admission)))

    def row(self, pipeline_id: uuid.UUID) -> Pipeline:
        with self.database.session_scope() as session:
            return session.get_one(Pipeline, pipeline_id)

    def change(self, pipeline_id: uuid.UUID, **values: Any) -> None:
        with self.database.session_scope() as session:
            row = session.get_one(Pipeline, pipeline_id)
            for name, value in values.items():
                setattr(row, name, value)

    def due(self, pipeline_id: uuid.UUID) -> None:
        self.change(pipeline_id, run_at=func.clock_timestamp())

    def jobs(self, pipeline_id: uuid.UUID) -> list[Job]:
        with self.database.session_scope() as session:
            return list(session.scalars(select(Job).where(Job.pipeline_id == pipeline_id).order_by(Job.id)))

    def items(self, pipeline_id: uuid.UUID) -> list[PipelineItem]:
        query = select(PipelineItem).where(PipelineItem.pipeline_id == pipeline_id).order_by(PipelineItem.id)
        with self.database.session_scope() as session:
            return list(session.scalars(query))

    def runs(self, pipeline_id: uuid.UUID) -> list[PipelineRun]:
        query = select(PipelineRun).where(PipelineRun.pipeline_id == pipeline_id).order_by(PipelineRun.id)
        with self.database.session_scope() as session:
            return list(session.scalars(query))


def run_out(session: Session) -> None:
    """Leases of those who were killed."""
    session.execute(text("UPDATE pipelines SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL"))


def main(url: str, directory: Path) -> None:
    """Until a child has ended by itself; prints how many were killed."""
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            failpoints.arm(str(directory))
            Watch(Database(url), attempts=100).check()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        killed += 1
        database = Database(url)
        with database.session_scope() as session:
            run_out(session)
        database.dispose()
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
