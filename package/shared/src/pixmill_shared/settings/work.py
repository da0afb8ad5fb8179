"""How work is dispatched, claimed and bounded."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class WorkSettings(Settings):
    """Read by the dispatcher and by every process that claims work."""

    redispatch_after: float = Field(
        default=30,
        gt=0,
        validation_alias="PIXMILL_REDISPATCH_AFTER",
        description="seconds a message may stay unclaimed",
    )
    lease: float = Field(
        default=15,
        gt=0,
        validation_alias="PIXMILL_LEASE",
        description="seconds a claim holds; its worker renews it every third of them",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        validation_alias="PIXMILL_MAX_ATTEMPTS",
        description="claims of a stage before it fails",
    )
    outage_patience: float = Field(
        default=3600,
        ge=0,
        validation_alias="PIXMILL_OUTAGE_PATIENCE",
        description="seconds that a job waits for a storage that is away before its attempts count",
    )
    window: int = Field(
        default=32,
        ge=1,
        le=10_000,
        validation_alias="PIXMILL_WINDOW",
        description="published, unclaimed messages that a queue may hold",
    )
    image_workers: int = Field(
        default=3,
        ge=1,
        le=1000,
        validation_alias="MAX_IMAGE_WORKERS",
        description="chunks of jobs that generate pictures which are worked on at once, each by a thread of imaging-io",
    )
    image_job_timeout: float = Field(
        default=1800,
        gt=0,
        validation_alias="IMAGE_JOB_TIMEOUT",
        description="seconds after which a job that generates up to 100 pictures fails, one of more in proportion; "
        "those that are there are kept",
    )
    poll: float = Field(
        default=1.0,
        gt=0,
        validation_alias="PIXMILL_DISPATCH_POLL",
        description="seconds between looks for due work without a NOTIFY",
    )


class TaskLimitSettings(Settings):
    """Of prefork workers; threads have a deadline on every call out instead."""

    soft: int = Field(
        default=240,
        ge=1,
        validation_alias="PIXMILL_TASK_SOFT_TIME_LIMIT",
        description="seconds after which a task is told to end",
    )
    hard: int = Field(
        default=300,
        ge=1,
        validation_alias="PIXMILL_TASK_TIME_LIMIT",
        description="seconds after which its process is killed",
    )


class ShutdownSettings(Settings):
    """Of every worker. What runs it should have a grace that is longer by ten seconds."""

    timeout: float = Field(
        default=10,
        ge=0,
        le=3600,
        validation_alias="PIXMILL_SHUTDOWN_TIMEOUT",
        description="seconds that running work is given to end after SIGTERM",
    )


class ConcurrencySettings(Settings):
    """How much each worker does at once; 0 is one process a core."""

    imaging: int = Field(
        default=0,
        ge=0,
        validation_alias="PIXMILL_IMAGING_CONCURRENCY",
        description="processes that render; 0: one a core",
    )
    imaging_io: int = Field(
        default=8, ge=1, validation_alias="PIXMILL_IMAGING_IO_CONCURRENCY", description="threads that fetch"
    )
    notifier: int = Field(
        default=8, ge=1, validation_alias="PIXMILL_NOTIFIER_CONCURRENCY", description="threads that deliver webhooks"
    )
    worker: int = Field(
        default=3,
        ge=3,
        validation_alias="PIXMILL_WORKER_CONCURRENCY",
        description="processes of the general worker, at least 3",
    )
