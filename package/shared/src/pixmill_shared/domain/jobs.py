"""The state machine of a job: one table; every write of a status is one of its transitions."""

from enum import StrEnum
from typing import Final

from pixmill_shared.contract.tasks import TaskName


class JobStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Stage(StrEnum):
    """What the next message of a job does. ``fetch`` is for URL sources only; ``generate`` is done by messages of the
    job's chunks, and the job itself has none.
    """

    FETCH = "fetch"
    RENDER = "render"
    GENERATE = "generate"


#: Which task does a stage.
STAGE_TASKS: Final = {Stage.FETCH: TaskName.FETCH_SOURCE, Stage.RENDER: TaskName.RENDER_JOB}


class JobKind(StrEnum):
    """``process``: one source and a recipe; ``generate``: a list of things, a picture of each."""

    PROCESS = "process"
    GENERATE = "generate"


class Transition(StrEnum):
    CLAIM = "claim"
    ADVANCE = "advance"
    RETRY = "retry"
    RELEASE = "release"
    LOSE_LEASE = "lose_lease"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


TERMINAL: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})

TRANSITIONS: Final[dict[tuple[JobStatus, Transition], JobStatus]] = {
    (JobStatus.QUEUED, Transition.CLAIM): JobStatus.PROCESSING,
    (JobStatus.QUEUED, Transition.CANCEL): JobStatus.CANCELED,
    (JobStatus.PROCESSING, Transition.ADVANCE): JobStatus.QUEUED,
    (JobStatus.PROCESSING, Transition.RETRY): JobStatus.QUEUED,
    (JobStatus.PROCESSING, Transition.RELEASE): JobStatus.QUEUED,
    (JobStatus.PROCESSING, Transition.LOSE_LEASE): JobStatus.QUEUED,
    (JobStatus.PROCESSING, Transition.COMPLETE): JobStatus.COMPLETED,
    (JobStatus.PROCESSING, Transition.FAIL): JobStatus.FAILED,
    (JobStatus.PROCESSING, Transition.CANCEL): JobStatus.CANCELED,
}


class CancelOutcome(StrEnum):
    """What came of a wish to cancel. ``not_found`` is also what another project's job looks like."""

    CANCELED = "canceled"
    ALREADY_CANCELED = "already_canceled"
    FINISHED = "finished"
    NOT_FOUND = "not_found"


class IllegalTransition(ValueError):
    """A status was asked for that the table does not allow."""


def after(status: JobStatus, transition: Transition) -> JobStatus:
    """The status that follows, or IllegalTransition."""
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        raise IllegalTransition(f"a {status} job cannot {transition}") from None


def sources_of(transition: Transition) -> tuple[JobStatus, ...]:
    """The statuses that a transition may start from: the guard in the WHERE of its statement."""
    return tuple(status for status, t in TRANSITIONS if t is transition)
