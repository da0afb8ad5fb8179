"""Work whose process died at each attempt: nobody is left to record the failure, so the dispatcher does."""

import uuid

from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.payloads import DeliveryPayload, JobPayload, MessagePayload, RequestPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import AlertMessage, Delivery, Job, TaskRequest
from pixmill_shared.domain.failures import error_document
from pixmill_shared.domain.jobs import STAGE_TASKS, Stage
from pixmill_shared.repositories import alert_messages, alerts, dead_letters, deliveries, jobs, task_requests


def give_up_job(session: Session, job_id: uuid.UUID, fence: int) -> None:
    """``failed``, with its event and webhook, and a dead letter.

    ``attempts_exhausted`` if its process died each time, else the error of the last try that could tell.
    """
    row = session.get_one(Job, job_id)
    task, project, attempts = STAGE_TASKS[Stage(row.stage or "")], row.project, row.attempts
    error = row.error or error_document(
        ErrorCode.ATTEMPTS_EXHAUSTED, f"The process that worked on it died at each of {attempts} attempts."
    )
    if jobs.fail(session, job_id, fence, error):
        payload = dict(JobPayload(job_id=str(job_id)))
        dead_letters.bury(session, project=project, task=task, payload=payload, error=error, attempts=attempts)


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
        )
