"""Percentages on their way to those who watch: Redis pub/sub, from workers to all API processes. They may be lost."""

from typing import Final, TypedDict

PROGRESS_CHANNEL: Final = "pixmill.progress"

MOST_A_SECOND: Final = 2
"""Messages of one stage of a job."""


class ProgressMessage(TypedDict):
    """A JSON object. Ids are UUIDs in their canonical text form; ``progress`` is in percent of the whole job."""

    job: str
    batch: str | None
    project: str
    stage: str
    progress: int
