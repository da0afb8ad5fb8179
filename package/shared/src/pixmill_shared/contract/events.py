"""Events of a job: rows in ``job_events`` and, for the terminal ones, webhooks."""

from enum import StrEnum


class EventType(StrEnum):
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
