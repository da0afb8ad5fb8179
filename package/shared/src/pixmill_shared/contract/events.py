"""Events that webhooks tell of, those of jobs being rows in ``job_events`` too; why an endpoint hears of none."""

from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    #: A picture of a job that generates is there, and a part of it is done: for those who watch, never a webhook.
    JOB_OUTPUT = "job.output"
    JOB_PROGRESS = "job.progress"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    #: All jobs of a batch have ended, in whatever way.
    BATCH_COMPLETED = "batch.completed"
    #: Its source could not be read, and that does not seem to pass.
    PIPELINE_FAILED = "pipeline.failed"
    PING = "ping"


#: What an endpoint may ask for. A ping is for the endpoint that it was sent to, whatever that hears of.
FILTERABLE: Final = (
    EventType.JOB_COMPLETED,
    EventType.JOB_FAILED,
    EventType.JOB_CANCELED,
    EventType.BATCH_COMPLETED,
    EventType.PIPELINE_FAILED,
)


class DisabledReason(StrEnum):
    """Why nothing is sent to an endpoint."""

    #: It was switched off over the API.
    REQUESTED = "requested"
    #: It answered 410.
    GONE = "gone"
    #: No try got through for days.
    FAILING = "failing"
