"""A rendition that exists against one that is made: make bench-renditions [ARGS="--pictures 10 --rounds 5"]

The whole render stage, with claim and finish, on a real Postgres and a directory: p12 (12 MP JPEG), one output in a box
of 800x600. CPU milliseconds of the worker's process a job, medians over rounds, both kinds in turns.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from bench.imaging import sources
from tests.servers import running_servers

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.finish import render_and_finish
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage import open_store
from pixmill_shared.storage.signing import FileUrlSigner


class Bench:
    def __init__(self, url: str, directory: Path) -> None:
        self._runtime = Runtime()
        self._database = Database(url)
        self._runtime.__dict__.update(database=self._database, work=WorkSettings())
        settings = StorageSettings(url=directory.as_uri())
        self._store = open_store(settings, FileUrlSigner(lambda: ["k" * 32]), "http://127.0.0.1")
        self._engine = Engine(choose_loader(LoaderChoice.AUTO), PixelLimits())

    def submit(self, data: bytes, width: int) -> uuid.UUID:
        """Recipes of different widths have different renditions."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._store.exists(f"uploads/{sha256}"):
            self._store.put(f"uploads/{sha256}", data, "image/jpeg")
        resize = {"op": "resize", "width": width, "height": 600}
        output: dict[str, Any] = {"name": "web", "operations": [resize], "format": "jpeg"}
        new = jobs.NewJob(
            *("default", Stage.RENDER, QueueName.IMAGING, 1),
            source={"upload_id": "u", "bytes": len(data), "sha256": sha256},
            recipe={"outputs": [output]},
            source_key=f"uploads/{sha256}",
            source_sha256=sha256,
        )
        with self._database.session_scope() as session:
            return jobs.insert(session, new)

    def run(self, job_id: uuid.UUID) -> float:
        """CPU milliseconds of the stage."""
        start = time.process_time()
        run_stage(
            *(self._runtime, str(job_id), Stage.RENDER, TaskName.RENDER_JOB),
            lambda job, _check: render_and_finish(job, self._database, self._store, self._engine),
        )
        spent = (time.process_time() - start) * 1000
        with self._database.session_scope() as session:
            assert session.get_one(Job, job_id).status == "completed"
        return spent


def main(count: int, rounds: int) -> None:
    pictures = sources("p12", count)
    rendered: list[float] = []
    linked: list[float] = []
    with tempfile.TemporaryDirectory() as directory, running_servers(Path(directory) / "servers") as servers:
        bench = Bench(servers.new_database(), Path(directory) / "objects")
        bench.run(bench.submit(pictures[0], 500))  # imports, and the first use of everything
        for turn in range(rounds):
            made, known = 0.0, 0.0
            for data in pictures:
                made += bench.run(bench.submit(data, 800 + turn))
                known += bench.run(bench.submit(data, 800 + turn))
            rendered.append(made / count)
            linked.append(known / count)
    one, other = statistics.median(rendered), statistics.median(linked)
    print(f"p12, one output: rendered {one:.1f} ms CPU, linked {other:.1f} ms CPU: {other / one:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.pictures, arguments.rounds)
