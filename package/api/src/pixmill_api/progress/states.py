"""How far jobs and batches are, as read from their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pixmill_shared.domain.jobs import TERMINAL, JobStatus


@dataclass(frozen=True, slots=True)
class JobLook:
    """What a look at the row tells, without outputs."""

    project: str
    status: str
    stage: str | None
    progress: int
    sequence: int

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a job that was told before its end; ``data`` is JSON."""

    sequence: int
    type: str
    data: str


@dataclass(frozen=True, slots=True)
class JobState:
    """``document`` and ``outputs`` are JSON, as old as the last reading of the whole job, whose ``sequence`` is that of
    the job then; ``outputs`` in order. A job that generates has none of these: they are among its events, in ``told``.
    """

    look: JobLook
    document: str
    sequence: int
    outputs: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    generates: bool = False

    @property
    def ended(self) -> bool:
        return self.look.ended

    @property
    def last_told(self) -> int:
        return self.told[-1].sequence if self.told else 0

    def at(self, stage: str, progress: int) -> "JobState":
        """What its worker says, which may be late: a job that has ended stays so."""
        if self.ended:
            return self
        return replace(self, look=replace(self.look, status=JobStatus.PROCESSING, stage=stage, progress=progress))

    def seen(self, look: JobLook) -> "JobState":
        """What the row says, where a percentage stands that is behind what the worker said."""
        known = self.look
        if (look.status, look.stage) == (known.status, known.stage) and look.progress < known.progress:
            look = replace(look, progress=known.progress)
        return self if look == known else replace(self, look=look)

    def telling(self, more: Sequence[Told]) -> "JobState":
        """With what came since; whatever was known before is left out."""
        new = tuple(each for each in more if each.sequence > self.last_told)
        return replace(self, told=self.told + new) if new else self


@dataclass(frozen=True, slots=True)
class BatchState:
    """``done`` jobs have ended; ``counts`` and ``document`` are JSON."""

    project: str
    status: str
    done: int
    counts: str
    document: str
    ended: bool
