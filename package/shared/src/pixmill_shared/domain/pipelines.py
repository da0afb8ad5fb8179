"""Pipelines: what they watch, how their runs end, and when people are told that they fail."""

from enum import StrEnum
from typing import Final

PICTURE_SUFFIXES: Final = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".heic", ".heif", ".tif", ".tiff", ".bmp"),
)
"""Names of objects that end like this are taken for pictures, in upper case too."""

LONGEST_KEY: Final = 500
"""Characters of an item's key."""

DEFAULT_CRON: Final = "*/30 * * * *"

MOST_RUNS_KEPT: Final = 200
"""Of a pipeline: older ones are forgotten."""

MOST_SHOWN: Final = 1_000
"""Items that a dry run lists."""

PATIENCE: Final = 3
"""Runs that may fail for a passing reason, one after another, before anybody is told."""


class SourceType(StrEnum):
    """In rows; never renamed."""

    #: Objects under a prefix of the users' own storage.
    STORAGE = "storage"
    #: A JSON Feed, or any JSON document with a list in it.
    JSON = "json"
    RSS = "rss"
    ATOM = "atom"
    #: URLs, one a line: in the pipeline itself, or in a text that is fetched.
    URLS = "urls"


class RunTrigger(StrEnum):
    SCHEDULE = "schedule"
    REQUEST = "request"


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    #: The pipeline was changed or paused while it ran.
    CANCELED = "canceled"


class StopReason(StrEnum):
    """Why a run ended before its source did. What remains is for the next one, which begins soon, but of a list that is
    too long.
    """

    #: PIXMILL_MAX_BACKLOG jobs wait.
    BACKLOG = "backlog"
    #: The API key has as many unfinished jobs as it may.
    QUOTA = "quota"
    #: PIXMILL_PIPELINE_MAX_ITEMS were made.
    LIMIT = "limit"
    #: The list has more entries than are taken of one: the rest is never looked at.
    TOO_LONG = "too_long"


def is_picture_name(name: str) -> bool:
    """By its end alone."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def is_worth_telling(failures: int, *, transient: bool) -> bool:
    """Is a pipeline whose ``failures``-th run (from 1) in a row has failed to be told of? What will not pass by itself
    at once, the rest after ``PATIENCE`` runs.
    """
    return not transient or failures >= PATIENCE
