"""One try of a webhook: claim, post, judge, record."""

import datetime
import json
import random
import time
import uuid
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from pixmill_notifier.domain.excerpt import READ, excerpt_of, secrets_of
from pixmill_notifier.domain.gate import Gate
from pixmill_notifier.domain.verdict import Answer
from pixmill_notifier.service.message import body_of, signed_headers
from pixmill_notifier.service.outcome import Patience, give_up_old, record
from pixmill_shared.database.engine import Database
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, WorkError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import deliveries, held_deliveries
from pixmill_shared.repositories.deliveries import ClaimedDelivery, Try
from pixmill_shared.repositories.results import EndedJob, ended_job
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)


@dataclass(frozen=True)
class Courier:
    """The clients and settings of deliveries; ``timeout``, ``url_ttl`` and ``lease`` in seconds. ``gate`` is shared by
    all threads of the process.
    """

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
    gate: Gate
    patience: Patience


def deliver(delivery_id: uuid.UUID, courier: Courier) -> None:
    """Returns silently if the delivery is not to be had: somebody else has it, it is over, or has to wait."""
    claimed = _claim(delivery_id, courier)
    if claimed is None:
        return
    delivery, job = claimed
    structlog.contextvars.bind_contextvars(
        job_id=str(delivery.job_id),
        delivery_id=str(delivery.id),
        attempt=delivery.attempts,
        request_id=delivery.request_id,
    )
    place = courier.gate.enter(delivery.host)
    if isinstance(place, float):
        with courier.database.session_scope() as session:
            deliveries.later(session, delivery, place)
        log.info("webhook put off, the receiver is busy", host=delivery.host, seconds=round(place, 1))
        return
    try:
        failpoint("webhook.claimed", delivery.job_id)
        answer, attempt = _post(delivery, job, courier)
    finally:
        courier.gate.leave(delivery.host, place)
    failpoint("webhook.answered", delivery.job_id)
    with courier.database.session_scope() as session:
        outcome = record(session, delivery, answer, attempt, courier.patience, courier.rng)
    log.info("webhook tried", outcome=outcome, status=attempt.status_code, ms=attempt.duration_ms)
    failpoint("webhook.recorded", delivery.job_id)


def _claim(delivery_id: uuid.UUID, courier: Courier) -> tuple[ClaimedDelivery, EndedJob | None] | None:
    """With what there is to tell, in one transaction: each costs a notifier half a millisecond."""
    busy = courier.gate.busy()
    with courier.database.session_scope() as session:
        delivery = deliveries.claim(session, delivery_id, courier.worker_name, courier.lease, busy)
        if delivery is not None:
            return delivery, ended_job(session, delivery.job_id) if delivery.job_id is not None else None
        _set_aside(session, delivery_id, busy, courier.gate)
    return None


def _set_aside(session: Session, delivery_id: uuid.UUID, busy: list[str], gate: Gate) -> None:
    """Not sent now, and perhaps never: if that is why it could not be claimed."""
    give_up_old(session, delivery_id)
    if aside := held_deliveries.put_aside(session, delivery_id):
        log.info("webhooks not sent now", rows=aside)
    elif busy and (host := held_deliveries.host_of_ready(session, delivery_id)) in busy:
        held_deliveries.put_off(session, delivery_id, gate.delay(host))


def _post(delivery: ClaimedDelivery, job: EndedJob | None, courier: Courier) -> tuple[Answer, Try]:
    started = time.monotonic()
    try:
        own = _own_headers(delivery, courier)
        body, headers = _request(delivery, job, courier)
        result = courier.egress.post(
            delivery.url, body, {**own, **headers}, deadline=courier.timeout, excerpt_bytes=READ
        )
    except WorkError as error:
        permanent = isinstance(error, PermanentError)
        answer = Answer(None, error.detail, final=permanent, silent=not permanent)
    except Exception:
        # A key that was exchanged, or a defect: tried again by the schedule, which gives a person time to mend it.
        log.exception("unexpected error in a delivery")
        answer = Answer(None, "pixmill could not prepare the webhook.")
    else:
        answer = Answer(result.status, retry_after=result.retry_after)
        excerpt = excerpt_of(result.excerpt, secrets_of(own.values(), delivery.url))
        return answer, Try(result.status, result.duration_ms, None, excerpt)
    return answer, Try(None, round((time.monotonic() - started) * 1000), answer.problem, None)


def _request(delivery: ClaimedDelivery, job: EndedJob | None, courier: Courier) -> tuple[bytes, dict[str, str]]:
    now = datetime.datetime.now(datetime.UTC)
    expires_at = now.replace(microsecond=0) + datetime.timedelta(seconds=courier.url_ttl)
    body = body_of(delivery, job, courier.store, expires_at)
    return body, signed_headers(_secrets_of(delivery, courier), f"msg_{delivery.event_id.hex}", now, body)


def _own_headers(delivery: ClaimedDelivery, courier: Courier) -> dict[str, str]:
    """Those of the endpoint: a login, say. What the receiver repeats of them is kept nowhere."""
    if delivery.endpoint_headers is None:
        return {}
    own: dict[str, str] = json.loads(courier.sealer.unseal(delivery.endpoint_headers))
    return own


def _secrets_of(delivery: ClaimedDelivery, courier: Courier) -> tuple[str, ...]:
    if delivery.endpoint_id is not None:
        return tuple(courier.sealer.unseal(each) for each in delivery.endpoint_secrets)
    of_key = tuple(courier.sealer.unseal(each) for each in (delivery.webhook_secret, delivery.former_secret) if each)
    return of_key or (courier.webhook_secret,)
