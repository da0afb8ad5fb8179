"""Work whose process died at each attempt: nobody is left to record the failure, so the dispatcher does."""

import uuid

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.payloads import ChunkPayload, DeliveryPayload, JobPayload, MessagePayload, RequestPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import is_locked
from pixmill_shared.database.models import AlertMessage, Delivery, GenerationChunk, Job, TaskRequest
from pixmill_shared.domain.failures import error_document
from pixmill_shared.domain.generation import time_limit
from pixmill_shared.domain.jobs import STAGE_TASKS, Stage
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import (
    alert_messages,
    alerts,
    chunks,
    dead_letters,
    deliveries,
    generations,
    jobs,
    task_requests,
)
from pixmill_shared.settings.work import WorkSettings

log = get_logger(__name__)


def give_up_job(session: Session, job_id: uuid.UUID, fence: int) -> None:
    """``failed``, with its event and webhook, and a dead letter.

    ``attempts_exhausted`` if its process died each time, else the error of the last try that could tell, with its
    traceback.
    """
    row = session.get_one(Job, job_id)
    task, attempts, traceback = STAGE_TASKS[Stage(row.stage or "")], row.attempts, row.traceback
    error = row.error or error_document(
        ErrorCode.ATTEMPTS_EXHAUSTED, f"The process that worked on it died at each of {attempts} attempts."
    )
    if jobs.fail(session, job_id, fence, error):
        payload = dict(JobPayload(job_id=str(job_id)))
        dead_letters.bury(
            session,
            project=row.project,
            task=task,
            payload=payload,
            error=error,
            attempts=attempts,
            traceback=traceback,
        )


def give_up_chunk(session: Session, chunk_id: uuid.UUID, fence: int) -> None:
    """Its job is ``failed``, with its event and webhook, and a dead letter; pictures that are there are kept."""
    row = session.get_one(GenerationChunk, chunk_id)
    error = row.error or error_document(
        ErrorCode.ATTEMPTS_EXHAUSTED, f"The process that worked on it died at each of {row.attempts} attempts."
    )
    if not chunks.lock_job(session, row.job_id):
        return  # one of its other chunks ends an item just now: the next pass gives this one up
    if jobs.fail(session, row.job_id, 0, error):
        payload = dict(ChunkPayload(chunk_id=str(chunk_id)))
        dead_letters.bury(
            session,
            project=row.project,
            task=TaskName.GENERATE_CHUNK,
            payload=payload | dict(JobPayload(job_id=str(row.job_id))),
            error=error,
            attempts=row.attempts,
            traceback=row.traceback,
        )
        chunks.drop_all(session, row.job_id)
    chunks.drop(session, chunk_id)


def fail_overdue(session: Session, settings: WorkSettings) -> None:
    """Jobs that generate and have taken longer than they may: ``failed``; what is there is kept.

    One that needs what somebody holds is left for the next look.
    """
    for job_id, items in generations.overdue(session, settings.image_job_timeout).items():
        try:
            with session.begin_nested():
                _fail_overdue(session, job_id, time_limit(settings.image_job_timeout, items))
        except DBAPIError as error:
            if not is_locked(error):
                raise
            log.warning("somebody holds what ending an overdue job needs", job_id=str(job_id))


def _fail_overdue(session: Session, job_id: uuid.UUID, limit: float) -> None:
    detail = f"The pictures were not all there {limit:g} s after the first was begun."
    if jobs.fail(session, job_id, 0, error_document(ErrorCode.TIME_LIMIT, detail)):
        chunks.drop_all(session, job_id)


def give_up_delivery(session: Session, delivery_id: uuid.UUID, fence: int) -> None:
    """``failed``, a dead letter and an alert."""
    row = session.get_one(Delivery, delivery_id)
    error = error_document(ErrorCode.ATTEMPTS_EXHAUSTED, "The notifier's process died at each try.")
    if deliveries.abandon(session, delivery_id, fence, error):
        dead_letters.bury(
            session,
            project=row.project,
            task=TaskName.DELIVER_WEBHOOK,
            payload=dict(DeliveryPayload(delivery_id=str(delivery_id))),
            error=error,
            attempts=row.attempts,
        )
        detail = "A webhook was given up: the notifier's process died at each try."
        alerts.raise_alert(session, AlertRule.DELIVERIES_EXHAUSTED, delivery_subject(row.endpoint_id, row.host), detail)


def delivery_subject(endpoint_id: uuid.UUID | None, host: str | None) -> str:
    """What an alert about a delivery is about: the endpoint, or the host, without what else is in the URL."""
    return f"endpoint {endpoint_id}" if endpoint_id else f"receiver {host or 'unknown'}"


def give_up_message(session: Session, message_id: uuid.UUID, fence: int) -> None:
    """``failed``, and a dead letter."""
    row = session.get_one(AlertMessage, message_id)
    error = error_document(ErrorCode.ATTEMPTS_EXHAUSTED, "The notifier's process died at each try.")
    if alert_messages.failed(session, message_id, fence, error):
        dead_letters.bury(
            session,
            project=None,
            task=TaskName.SEND_MESSAGE,
            payload=dict(MessagePayload(message_id=str(message_id))),
            error=error,
            attempts=row.attempts,
        )


def give_up_task(session: Session, request_id: uuid.UUID, fence: int) -> None:
    """``failed``, and a dead letter."""
    row = session.get_one(TaskRequest, request_id)
    error = row.error or error_document(
        ErrorCode.ATTEMPTS_EXHAUSTED, f"The process that worked on it died at each of {row.attempts} attempts."
    )
    if task_requests.fail(session, request_id, fence, error):
        dead_letters.bury(
            session,
            project=row.project,
            task=TaskName(row.task),
            payload=dict(RequestPayload(task_request_id=str(request_id))),
            error=error,
            attempts=row.attempts,
            traceback=row.traceback,
        )
