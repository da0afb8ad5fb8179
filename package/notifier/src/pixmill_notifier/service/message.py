"""The body of a webhook, and its signature by the Standard Webhooks specification."""

import datetime
import json
from collections.abc import Sequence
from typing import Any, Final

from standardwebhooks import Webhook

from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories.deliveries import ClaimedDelivery
from pixmill_shared.repositories.results import EndedJob
from pixmill_shared.service.outputs import describe_outputs
from pixmill_shared.storage import ObjectStore

LARGEST_BODY: Final = 20_000
"""Bytes: what receivers of webhooks are asked to take."""


def body_of(
    delivery: ClaimedDelivery, job: EndedJob | None, store: ObjectStore, expires_at: datetime.datetime
) -> bytes:
    """``{type, timestamp, data}``. Made at each try, so that its signed URLs are fresh and never kept in a row."""
    data = _data_of(delivery, job, store, expires_at)
    timestamp = utc(delivery.happened_at)
    body = _encoded(delivery.event_type, timestamp, data)
    if len(body) > LARGEST_BODY:
        body = _encoded(delivery.event_type, timestamp, {**data, "outputs": [], "outputs_omitted": True})
    return body


def signed_headers(secrets: Sequence[str], message_id: str, sent_at: datetime.datetime, body: bytes) -> dict[str, str]:
    """``webhook-id`` stays the same over all tries of an event: a receiver tells repeats by it.

    One signature a secret, in their order: while secrets are rotated a receiver that knows one of them can verify.
    """
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(Webhook(each).sign(message_id, sent_at, body.decode()) for each in secrets),
    }


def _data_of(
    delivery: ClaimedDelivery, job: EndedJob | None, store: ObjectStore, expires_at: datetime.datetime
) -> dict[str, Any]:
    if delivery.job_id is None:
        return delivery.data or {}
    data: dict[str, Any] = {"job_id": str(delivery.job_id), "status": None, "sequence": delivery.sequence}
    if job is not None:
        outputs = describe_outputs(job.outputs, store, expires_at)
        data |= {"status": job.status, "outputs": outputs, "error": job.error, "metadata": job.metadata}
    return data


def _encoded(event_type: str, timestamp: str, data: dict[str, Any]) -> bytes:
    document = {"type": event_type, "timestamp": timestamp, "data": data}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
