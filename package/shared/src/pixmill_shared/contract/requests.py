"""The tasks that people may start themselves, over the API or with ``pixmill tasks run``, and what each is told.

Every one of them takes any of its arguments as an option: a message carries none, the row has them.
"""

import uuid
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from pixmill_shared.contract.queues import Priority, QueueName
from pixmill_shared.contract.tasks import ROUTES, TaskName

REQUEST_HEADER: Final = "task_request"
"""Of a message whose task id is that of a row in ``task_requests``; what beat sends has none."""


class NoArguments(BaseModel):
    """Of a task that takes none."""

    model_config = ConfigDict(extra="forbid")


class ArchiveArguments(BaseModel):
    """A batch or a job; over the API, of the project of who asks."""

    model_config = ConfigDict(extra="forbid")

    batch_id: uuid.UUID | None = None
    job_id: uuid.UUID | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.batch_id is None) == (self.job_id is None):
            raise PydanticCustomError("one_of_two", "must have batch_id or job_id, one of the two")
        return self


@dataclass(frozen=True)
class Requestable:
    """``summary`` is for people; ``arguments`` checks ``args`` and has their JSON schema."""

    task: TaskName
    summary: str
    arguments: type[BaseModel] = NoArguments

    @property
    def name(self) -> str:
        """The short one."""
        return self.task.rpartition(".")[2]

    def queue(self, priority: Priority) -> QueueName:
        """Its own; what would go to ``default`` may pass by there."""
        own = next(queue for pattern, queue in ROUTES if fnmatchcase(self.task, pattern))
        return QueueName.DEFAULT_HIGH if own == QueueName.DEFAULT and priority == Priority.HIGH else own


BUILD_ARCHIVE: Final = Requestable(
    TaskName.BUILD_ZIP, "Build an archive of the outputs of a batch or of a job", ArchiveArguments
)

CHECK_PIPELINES: Final = Requestable(TaskName.CHECK_PIPELINES, "Look at the sources of all pipelines that are due")

REQUESTABLE: Final = (
    Requestable(TaskName.CLEAN_UP, "Delete rows whose time is over, and objects that no row names"),
    Requestable(TaskName.BACK_UP, "Back up the database into the storage"),
    Requestable(TaskName.VERIFY_STORAGE, "Look whether rows and objects agree, and change nothing"),
    Requestable(TaskName.EXPIRE_UPLOADS, "Delete uploads that no job used in time"),
    Requestable(TaskName.EXPIRE_KEYS, "Mark API keys that have expired as revoked"),
    BUILD_ARCHIVE,
    CHECK_PIPELINES,
    Requestable(TaskName.EVALUATE_ALERTS, "Measure all alerts, and tell of what changed"),
    Requestable(TaskName.SEND_REPORT, "Send the daily report, unless it was sent today"),
    Requestable(TaskName.CHECK_SERVICES, "Ask all services, the database, the broker and the storage how they are"),
    Requestable(TaskName.SAMPLE_QUEUES, "Write down how much waits in each queue"),
    Requestable(TaskName.RECORD_HEARTBEAT, "Show that the chain from row to worker is alive"),
)

_BY_NAME: Final = {name: each for each in REQUESTABLE for name in (each.task.value, each.name)}

REQUEST_PRIORITIES: Final = (Priority.HIGH, Priority.NORMAL)


def requestable(name: str) -> Requestable | None:
    """By its whole name or by the last part of it; None: there is no such task, or nobody may start it."""
    return _BY_NAME.get(name)
