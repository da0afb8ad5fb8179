"""One try of a webhook: claim, post, judge, record."""

import datetime
import random
import time
import uuid
from dataclasses import dataclass

import structlog

from pixmill_notifier.domain.verdict import Answer, Delivered, GiveUp, TryAgain, judge
from pixmill_notifier.service.message import body_of, signed_headers
from pixmill_shared.contract.payloads import DeliveryPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, WorkError
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import dead_letters, deliveries
from pixmill_shared.repositories.deliveries import ClaimedDelivery, Try
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

_GRACE = 20.0
"""Seconds that a lease is longer than the try's own deadline."""


@dataclass(frozen=True)
class Courier:
    """The clients and settings of deliveries; ``timeout`` and ``url_ttl`` in seconds."""

    database: Database
    store: ObjectStore
    egress: EgressClient
    sealer: Sealer
    webhook_secret: str
    url_ttl: int
    timeout: float
    worker_name: str
    rng: random.Random


def deliver(delivery_id: uuid.UUID, courier: Courier) -> None:
    """Returns silently if the delivery is not to be had: somebody else has it, or it is over."""
    with courier.database.session_scope() as session:
        delivery = deliveries.claim(session, delivery_id, courier.worker_name, courier.timeout + _GRACE)
    if delivery is None:
        return
    structlog.contextvars.bind_contextvars(
        job_id=str(delivery.job_id), delivery_id=str(delivery.id), attempt=delivery.attempts
    )
    answer, attempt = _post(delivery, courier)
    _record(delivery, answer, attempt, courier)


def _post(delivery: ClaimedDelivery, courier: Courier) -> tuple[Answer, Try]:
    now = datetime.datetime.now(datetime.UTC)
    expires_at = now.replace(microsecond=0) + datetime.timedelta(seconds=courier.url_ttl)
    with courier.database.session_scope() as session:
        body = body_of(session, delivery, courier.store, expires_at)
    headers = signed_headers(_secret_of(delivery, courier), f"msg_{delivery.event_id.hex}", now, body)
    started = time.monotonic()
    try:
        result = courier.egress.post(delivery.url, body, headers, deadline=courier.timeout)
    except WorkError as error:
        answer = Answer(None, error.detail, final=isinstance(error, PermanentError))
        return answer, Try(None, round((time.monotonic() - started) * 1000), error.detail, None)
    answer = Answer(result.status, retry_after=result.retry_after)
    return answer, Try(result.status, result.duration_ms, None, result.excerpt)


def _secret_of(delivery: ClaimedDelivery, courier: Courier) -> str:
    if delivery.webhook_secret is None:
        return courier.webhook_secret
    return courier.sealer.unseal(delivery.webhook_secret)


def _record(delivery: ClaimedDelivery, answer: Answer, attempt: Try, courier: Courier) -> None:
    verdict = judge(answer, delivery.attempts, courier.rng)
    with courier.database.session_scope() as session:
        match verdict:
            case Delivered():
                deliveries.delivered(session, delivery, attempt)
            case TryAgain(delay, reason):
                deliveries.again(session, delivery, attempt, {"detail": reason}, delay)
            case GiveUp(reason, exhausted):
                failed = deliveries.failed(session, delivery, attempt, {"detail": reason})
                if failed and exhausted:
                    dead_letters.bury(
                        session,
                        project=delivery.project,
                        task=TaskName.DELIVER_WEBHOOK,
                        payload=dict(DeliveryPayload(delivery_id=str(delivery.id))),
                        error={"detail": reason},
                        attempts=delivery.attempts,
                    )
    log.info("webhook tried", verdict=type(verdict).__name__, status=attempt.status_code, ms=attempt.duration_ms)
