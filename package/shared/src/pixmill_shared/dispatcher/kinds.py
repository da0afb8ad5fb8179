"""Every kind of work that is dispatched: its table, queues, task, payload, and what happens when it is used up."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.payloads import ChunkPayload, DeliveryPayload, JobPayload, MessagePayload
from pixmill_shared.contract.queues import RENDER_QUEUES, QueueName
from pixmill_shared.contract.requests import REQUEST_PRIORITIES, REQUESTABLE
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.backoff import MESSAGE_SCHEDULE, WEBHOOK_SCHEDULE
from pixmill_shared.domain.jobs import STAGE_TASKS, Stage
from pixmill_shared.repositories import alert_messages, chunks, deliveries, jobs, task_requests
from pixmill_shared.repositories.work import Due, WorkTable
from pixmill_shared.service.exhaustion import (
    fail_overdue,
    give_up_chunk,
    give_up_delivery,
    give_up_job,
    give_up_message,
    give_up_task,
)
from pixmill_shared.settings.work import WorkSettings


@dataclass(frozen=True)
class Kind:
    """One table of work. ``max_attempts`` None: PIXMILL_MAX_ATTEMPTS. ``requested``: a row is a task that somebody
    asked for, and its id is the task's.
    """

    work: WorkTable
    queues: tuple[QueueName, ...]
    message: Callable[[Due], tuple[TaskName, dict[str, Any]]]
    give_up: Callable[[Session, uuid.UUID, int], None]
    max_attempts: int | None = None
    requested: bool = False
    #: How many rows of a queue may be worked on at once; by default the window is what bounds those that wait.
    most: Callable[[WorkSettings], int | None] = lambda _: None
    #: What else the recovery does for it, in a transaction of its own.
    tidy: Callable[[Session, WorkSettings], None] | None = None

    def window(self, settings: WorkSettings) -> int:
        """Rows of a queue that may be published: by these the recovery looks back."""
        return max(settings.window, self.most(settings) or 0)


def _job_message(row: Due) -> tuple[TaskName, dict[str, Any]]:
    return STAGE_TASKS[Stage(row.stage or "")], dict(JobPayload(job_id=str(row.id)))


def _chunk_message(row: Due) -> tuple[TaskName, dict[str, Any]]:
    return TaskName.GENERATE_CHUNK, dict(ChunkPayload(chunk_id=str(row.id)))


def _delivery_message(row: Due) -> tuple[TaskName, dict[str, Any]]:
    return TaskName.DELIVER_WEBHOOK, dict(DeliveryPayload(delivery_id=str(row.id)))


def _alert_message(row: Due) -> tuple[TaskName, dict[str, Any]]:
    return TaskName.SEND_MESSAGE, dict(MessagePayload(message_id=str(row.id)))


def _requested_message(row: Due) -> tuple[TaskName, dict[str, Any]]:
    """Its arguments are in the row."""
    return TaskName(row.stage or ""), {}


KINDS: Final = (
    Kind(jobs.WORK, (QueueName.FETCH, *RENDER_QUEUES.values()), _job_message, give_up_job),
    Kind(
        chunks.WORK,
        (QueueName.GENERATE,),
        _chunk_message,
        give_up_chunk,
        most=lambda settings: settings.image_workers,
        tidy=fail_overdue,
    ),
    Kind(
        deliveries.WORK,
        (QueueName.NOTIFIER, QueueName.NOTIFIER_RETRY),
        _delivery_message,
        give_up_delivery,
        max_attempts=len(WEBHOOK_SCHEDULE) + 1,
    ),
    Kind(
        alert_messages.WORK,
        (QueueName.NOTIFIER_ALERTS,),
        _alert_message,
        give_up_message,
        max_attempts=len(MESSAGE_SCHEDULE) + 1,
    ),
    Kind(
        task_requests.WORK,
        # Those of alerts are another kind's too, in both of which a turn is a moment; and that of fetches, where a turn
        # is one of the jobs'.
        tuple({each.queue(priority): None for each in REQUESTABLE for priority in REQUEST_PRIORITIES}),
        _requested_message,
        give_up_task,
        requested=True,
    ),
)
