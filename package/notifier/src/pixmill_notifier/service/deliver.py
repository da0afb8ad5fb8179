"""One try of a webhook: claim, post, judge, record."""

import datetime
import random
import time
import uuid
from dataclasses import dataclass

import structlog

from pixmill_notifier.domain.verdict import Answer, Delivered, GiveUp, TryAgain, judge
from pixmill_notifier.service.message import body_of, signed_headers, without_queries
from pixmill_shared.contract.payloads import DeliveryPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, WorkError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import dead_letters, deliveries
from pixmill_shared.repositories.deliveries import ClaimedDelivery, Try
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)


@dataclass(frozen=True)
class Courier:
    """The clients and settings of deliveries; ``timeout``, ``url_ttl`` and ``lease`` in seconds."""

    database: Database
    store: ObjectStore
    egress: EgressClient
    sealer: Sealer
    webhook_secret: str
    url_ttl: int
    timeout: float
    worker_name: str
    lease: float
    rng: random.Random


def deliver(delivery_id: uuid.UUID, courier: Courier) -> None:
    """Returns silently if the delivery is not to be had: somebody else has it, or it is over."""
    with courier.database.session_scope() as session:
        delivery = deliveries.claim(session, delivery_id, courier.worker_name, courier.lease)
    if delivery is None:
        return
    structlog.contextvars.bind_contextvars(
        job_id=str(delivery.job_id), delivery_id=str(delivery.id), attempt=delivery.attempts
    )
    failpoint("webhook.claimed", delivery.job_id)
    answer, attempt = _post(delivery, courier)
    failpoint("webhook.answered", delivery.job_id)
    _record(delivery, answer, attempt, courier)
    failpoint("webhook.recorded", delivery.job_id)


def _post(delivery: ClaimedDelivery, courier: Courier) -> tuple[Answer, Try]:
    started = time.monotonic()
    try:
        body, headers = _signed(delivery, courier)
        result = courier.egress.post(delivery.url, body, headers, deadline=courier.timeout)
    except WorkError as error:
        answer = Answer(None, error.detail, final=isinstance(error, PermanentError))
    except DatabaseUnavailable:
        raise  # nothing can be recorded: the claim is handed back, and the delivery is tried again
    except Exception:
        # A key that was exchanged, or a defect: tried again by the schedule, which gives a person time to mend it.
        log.exception("unexpected error in a delivery")
        answer = Answer(None, "pixmill could not prepare the webhook.")
    else:
        answer = Answer(result.status, retry_after=result.retry_after)
        return answer, Try(result.status, result.duration_ms, None, without_queries(result.excerpt))
    return answer, Try(None, round((time.monotonic() - started) * 1000), answer.problem, None)


def _signed(delivery: ClaimedDelivery, courier: Courier) -> tuple[bytes, dict[str, str]]:
    now = datetime.datetime.now(datetime.UTC)
    expires_at = now.replace(microsecond=0) + datetime.timedelta(seconds=courier.url_ttl)
    with courier.database.session_scope() as session:
        body = body_of(session, delivery, courier.store, expires_at)
    return body, signed_headers(_secret_of(delivery, courier), f"msg_{delivery.event_id.hex}", now, body)


def _secret_of(delivery: ClaimedDelivery, courier: Courier) -> str:
    if delivery.webhook_secret is None:
        return courier.webhook_secret
    return courier.sealer.unseal(delivery.webhook_secret)


def _record(delivery: ClaimedDelivery, answer: Answer, attempt: Try, courier: Courier) -> None:
    verdict = judge(answer, delivery.attempts, courier.rng)
    with courier.database.session_scope() as session:
        match verdict:
            case Delivered():
                recorded = deliveries.delivered(session, delivery, attempt)
            case TryAgain(delay, reason):
                recorded = deliveries.again(session, delivery, attempt, {"detail": reason}, delay)
            case GiveUp(reason, exhausted):
                recorded = deliveries.failed(session, delivery, attempt, {"detail": reason})
                if recorded and exhausted:
                    dead_letters.bury(
                        session,
                        project=delivery.project,
                        task=TaskName.DELIVER_WEBHOOK,
                        payload=dict(DeliveryPayload(delivery_id=str(delivery.id))),
                        error={"detail": reason},
                        attempts=delivery.attempts,
                    )
    outcome = type(verdict).__name__ if recorded else "lost"
    log.info("webhook tried", outcome=outcome, status=attempt.status_code, ms=attempt.duration_ms)
