"""What tests of deliveries share: receivers that answer as told, jobs that have ended, and what is in the rows."""

import base64
import datetime
import json
import time
import uuid
from typing import Any

from sqlalchemy import func, select, text
from tests.integration.egress.servers import Conversation, Handler

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, Delivery, DeliveryAttempt, Endpoint, EndpointSecret
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs
from pixmill_shared.service.sealing import Sealer

SECRET = "whsec_" + base64.b64encode(b"a secret of the whole instance!!").decode()
KEYS = ("the key that signs URLs and seals secrets",)


def answering(status: str, *headers: str, body: bytes = b"") -> Handler:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])

    def handler(conversation: Conversation) -> None:
        conversation.send(head.encode() + b"\r\n\r\n" + body)

    return handler


def in_turn(*handlers: Handler) -> Handler:
    """Each answers once; the last one for ever."""
    left = list(handlers)

    def handler(conversation: Conversation) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(conversation)

    return handler


def output(position: int) -> dict[str, Any]:
    key = f"{position:064x}"
    return {
        "name": f"output-{position}",
        "position": position,
        "cached": False,
        "id": str(new_id()),
        "key": key,
        "storage_key": f"renditions/{key}/{new_id()}.webp",
        "recipe_hash": "r" * 64,
        "engine": "1/test",
        "format": "webp",
        "media_type": "image/webp",
        "width": 800,
        "height": 600,
        "bytes": 12_345,
        "sha256": "s" * 64,
        "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominant_color": "#0cc85a",
        "frames": 1,
        "replaces": None,
    }


def finished_job(
    database: Database,
    url: str | None,
    *,
    outputs: int = 1,
    error: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    api_key_id: uuid.UUID | None = None,
    project: str = "default",
) -> tuple[uuid.UUID, uuid.UUID]:
    """The ids of a job that has ended, and of the first delivery that tells of it."""
    new = jobs.NewJob(
        project=project,
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={"upload_id": "u"},
        recipe={"outputs": []},
        metadata=metadata or {},
        webhook_url=url,
        api_key_id=api_key_id,
    )
    with database.session_scope() as session:
        job_id = jobs.insert(session, new)
        job = jobs.claim(session, job_id, Stage.RENDER, "renderer", 60)
        assert job is not None
        if error is None:
            made = [output(position) for position in range(outputs)]
            assert jobs.complete(session, job, found={}, sha256="abc", made=made) is not None
        else:
            assert jobs.fail(session, job_id, job.fence, error)
        delivery_id = session.scalars(
            select(Delivery.id).where(Delivery.job_id == job_id).order_by(Delivery.id)
        ).first()
    return job_id, delivery_id


def endpoint(
    database: Database,
    url: str,
    *,
    events: tuple[str, ...] = (),
    secrets: tuple[str, ...] = (SECRET,),
    headers: dict[str, str] | None = None,
    project: str = "default",
) -> uuid.UUID:
    """``secrets``: the oldest first; all but the last one expire in an hour."""
    sealer, made = Sealer(KEYS), new_id()
    with database.session_scope() as session:
        sealed = sealer.seal(json.dumps(headers)) if headers is not None else None
        session.add(Endpoint(id=made, project=project, url=url, events=list(events), headers=sealed))
        session.flush()
        for number, secret in enumerate(secrets, start=1):
            row = EndpointSecret(id=new_id(), endpoint_id=made, secret=sealer.seal(secret))
            if number < len(secrets):
                row.expires_at = func.now() + datetime.timedelta(hours=1)
            session.add(row)
            session.flush()
            time.sleep(0.002)  # ids sort by the millisecond
    return made


def endpoint_row(database: Database, endpoint_id: uuid.UUID) -> Endpoint:
    with database.session_scope() as session:
        return session.get_one(Endpoint, endpoint_id)


def deliveries_to(database: Database, endpoint_id: uuid.UUID | None) -> list[Delivery]:
    query = select(Delivery).where(Delivery.endpoint_id == endpoint_id).order_by(Delivery.id)
    with database.session_scope() as session:
        return list(session.scalars(query))


def row_of(database: Database, delivery_id: uuid.UUID) -> Delivery:
    with database.session_scope() as session:
        return session.get_one(Delivery, delivery_id)


def attempts_of(database: Database, delivery_id: uuid.UUID) -> list[DeliveryAttempt]:
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id).order_by(DeliveryAttempt.fence)
    with database.session_scope() as session:
        return list(session.scalars(query))


def letters(database: Database) -> list[DeadLetter]:
    with database.session_scope() as session:
        return list(session.scalars(select(DeadLetter)))


def make_due(database: Database, delivery_id: uuid.UUID, *, attempts: int | None = None) -> None:
    with database.session_scope() as session:
        sql = "UPDATE deliveries SET run_at = NULL, attempts = coalesce(:attempts, attempts) WHERE id = :id"
        session.execute(text(sql), {"id": delivery_id, "attempts": attempts})


def timed(delivery_id: uuid.UUID, courier: Courier) -> float:
    """One try; in how many seconds."""
    begun = time.monotonic()
    deliver(delivery_id, courier)
    return time.monotonic() - begun


def wait_of(database: Database, delivery_id: uuid.UUID) -> float:
    """Seconds from the last try to the next, by the database's clock: from the beginning of the transaction that
    records the try, so up to all of its time too long.
    """
    sql = """
        SELECT extract(epoch FROM run_at - (SELECT max(at) FROM delivery_attempts a WHERE a.delivery_id = d.id))
        FROM deliveries d WHERE id = :id
    """
    with database.session_scope() as session:
        return float(session.scalar(text(sql), {"id": delivery_id}) or 0)


def headers_of(conversation: Conversation) -> dict[str, str]:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {name: conversation.header(name) or "" for name in names}
