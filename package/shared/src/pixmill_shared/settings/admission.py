"""How many jobs there may be, whoever makes them: the API at once, pipelines by and by."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class AdmissionSettings(Settings):
    """A key may have a limit of its own, which counts instead."""

    max_backlog: int = Field(
        default=1_000_000,
        ge=1,
        validation_alias="PIXMILL_MAX_BACKLOG",
        description="queued jobs above which a POST that makes a job is answered 429, and pipelines wait",
    )
    max_unfinished: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        validation_alias="PIXMILL_MAX_UNFINISHED_JOBS",
        description="jobs of an API key that may wait or run at the same time; 0: no limit",
    )
