"""What follows from an answer: for the delivery, its endpoint, the receiver, and the people who run pixmill."""

import random
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from pixmill_notifier.domain.verdict import Answer, Delivered, GiveUp, TryAgain, judge
from pixmill_notifier.repositories import receivers
from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.events import DisabledReason
from pixmill_shared.contract.payloads import DeliveryPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.repositories import alerts, dead_letters, deliveries, endpoints, held_deliveries
from pixmill_shared.repositories.deliveries import ClaimedDelivery, Try
from pixmill_shared.repositories.held_deliveries import Expired
from pixmill_shared.service.exhaustion import delivery_subject

LONGEST_WAIT: Final = 3 * 86_400.0
"""Seconds that a delivery waits for a receiver that is left alone: the whole schedule takes two days."""


@dataclass(frozen=True)
class Patience:
    """``silences``: tries in a row without an answer after which a receiver is left alone for a while;
    ``endpoint``: seconds after which an endpoint that fails all the while is disabled.
    """

    silences: int
    endpoint: float


def record(
    session: Session, delivery: ClaimedDelivery, answer: Answer, attempt: Try, patience: Patience, rng: random.Random
) -> str:
    """End the claim, with all that follows, in one transaction. Returns what it came to, ``lost`` if somebody else has
    the delivery now: then nothing is recorded.
    """
    verdict = judge(answer, delivery.attempts, rng)
    through = isinstance(verdict, Delivered)
    if delivery.endpoint_id is not None and (delivery.endpoint_failing or not through):
        endpoints.lock(session, delivery.endpoint_id)
    match verdict:
        case Delivered():
            recorded = deliveries.delivered(session, delivery, attempt)
        case TryAgain(delay, reason):
            recorded = deliveries.again(session, delivery, attempt, {"detail": reason}, delay)
        case GiveUp(reason):
            recorded = deliveries.failed(session, delivery, attempt, {"detail": reason})
    if not recorded:
        return "lost"
    if isinstance(verdict, GiveUp) and verdict.exhausted:
        _bury(session, delivery, verdict.reason)
    if delivery.endpoint_id is not None:
        _endpoint(session, delivery, delivery.endpoint_id, answer, through, patience.endpoint)
    if through and delivery.alarmed:
        alerts.clear_alert(session, AlertRule.DELIVERIES_EXHAUSTED, _subject(delivery))
    _receiver(session, delivery, answer, patience.silences)
    return type(verdict).__name__


def give_up_old(session: Session, delivery_id: uuid.UUID) -> None:
    """What has waited for too long for the receiver of this delivery, which is left alone."""
    reason = "Its receiver gave no answer to anything for days."
    for expired in held_deliveries.expire(session, delivery_id, LONGEST_WAIT, reason):
        _bury(session, expired, reason)


def _bury(session: Session, delivery: ClaimedDelivery | Expired, reason: str) -> None:
    dead_letters.bury(
        session,
        project=delivery.project,
        task=TaskName.DELIVER_WEBHOOK,
        payload=dict(DeliveryPayload(delivery_id=str(delivery.id))),
        error={"detail": reason},
        attempts=delivery.attempts,
    )
    detail = f"A webhook was given up after {delivery.attempts} tries. {reason}"
    alerts.raise_alert(session, AlertRule.DELIVERIES_EXHAUSTED, _subject(delivery), detail)


def _endpoint(
    session: Session,
    delivery: ClaimedDelivery,
    endpoint_id: uuid.UUID,
    answer: Answer,
    through: bool,
    longest: float,
) -> None:
    if through:
        if delivery.endpoint_failing:
            endpoints.note_success(session, endpoint_id)
        return
    if answer.gone:
        disabled, why = endpoints.disable(session, endpoint_id, DisabledReason.GONE), "It answered 410 (Gone)."
    else:
        disabled = endpoints.note_failure(session, endpoint_id, longest)
        why = f"No try got through for {round(longest / 86_400, 1):g} days."
    if disabled:
        alerts.raise_alert(session, AlertRule.ENDPOINT_DISABLED, _subject(delivery), why)


def _receiver(session: Session, delivery: ClaimedDelivery, answer: Answer, threshold: int) -> None:
    if answer.silent:
        receivers.note_silence(session, delivery.host, threshold, probe=delivery.probe)
    elif answer.status is not None and delivery.receiver_known:
        receivers.note_answer(session, delivery.host)


def _subject(delivery: ClaimedDelivery | Expired) -> str:
    return delivery_subject(delivery.endpoint_id, delivery.host)
