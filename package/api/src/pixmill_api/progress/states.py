"""How far jobs and batches are, as read from their rows."""

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
class JobState:
    """``document`` and ``outputs`` are JSON, as old as the last reading of the whole job; ``outputs`` in order."""

    look: JobLook
    document: str
    outputs: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.look.ended

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


@dataclass(frozen=True, slots=True)
class BatchState:
    """``done`` jobs have ended; ``counts`` and ``document`` are JSON."""

    project: str
    status: str
    done: int
    counts: str
    document: str
    ended: bool
