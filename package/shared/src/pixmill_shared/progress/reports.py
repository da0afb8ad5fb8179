"""What a stage tells of how far it is. Cheap enough to be called at every step."""

import json
import time
from collections.abc import Callable
from typing import Final

from pixmill_shared.contract.progress import MOST_A_SECOND, ProgressMessage
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.progress.publisher import Publisher
from pixmill_shared.repositories.jobs import ClaimedJob

#: Told a percentage of the whole job; returns at once, and raises nothing.
Report = Callable[[float], None]

_EVERY: Final = 1 / MOST_A_SECOND


def untold(percent: float) -> None:
    """Of work that nobody watches."""


class StageReport:
    """Of one claim and one thread. The first call is published; of the others what comes at most twice a second."""

    def __init__(
        self, publisher: Publisher, job: ClaimedJob, stage: Stage, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._job = job
        self._stage = stage
        self._clock = clock
        self._next = float("-inf")

    def __call__(self, percent: float) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY
        job = self._job
        message = ProgressMessage(
            job=str(job.id),
            batch=str(job.batch_id) if job.batch_id else None,
            project=job.project,
            stage=self._stage.value,
            progress=int(percent),
        )
        self._publisher.publish(message["job"], json.dumps(message, separators=(",", ":")))
