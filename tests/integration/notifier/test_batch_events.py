"""The end of a batch as a receiver hears of it."""

import base64
import json
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from standardwebhooks import Webhook, WebhookVerificationError
from tests.integration.egress.servers import Handler, Server
from tests.integration.notifier.couriers import SECRET, answering, endpoint, headers_of, row_of

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import ApiKey, Delivery
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import batches
from pixmill_shared.repositories.batches import NewBatch, NewItem
from pixmill_shared.service.keys import create_key

OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


def ended_batch(database: Database, url: str | None, api_key_id: uuid.UUID | None = None) -> NewBatch:
    """Of two jobs, which were canceled."""
    batch = NewBatch(
        *(new_id(), "default", 2, 1),
        rejected=[{"index": 2, "errors": []}],
        webhook_url=url,
        metadata={"order": 7},
        api_key_id=api_key_id,
    )
    items = [NewItem(new_id(), index, 0, {"url": "https://example.com/"}) for index in range(2)]
    with database.session_scope() as session:
        batches.insert(session, batch, items, [{"outputs": []}])
    with database.session_scope() as session:
        assert batches.cancel(session, batch.id, "default") == 2
    return batch


def deliveries_of(database: Database, batch: NewBatch) -> list[Delivery]:
    query = select(Delivery).where(Delivery.event_id == batch.id).order_by(Delivery.id)
    with database.session_scope() as session:
        return list(session.scalars(query))


@pytest.fixture(autouse=True)
def nothing_else(database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE batches, deliveries CASCADE"))


def test_receiver_hears_of_the_end_of_a_batch_signed_with_its_keys_secret(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    with database.session_scope() as session:
        created = create_key(session, courier.sealer, project="default", name="k")
        session.flush()
        key_id = session.scalars(select(ApiKey.id)).one()
    receiver = receive(answering("200 OK"))
    batch = ended_batch(database, receiver.url("/hook"), key_id)
    (delivery,) = deliveries_of(database, batch)
    deliver(delivery.id, courier)
    assert row_of(database, delivery.id).status == "completed"
    (request,) = receiver.seen
    Webhook(created.webhook_secret).verify(request.body, headers_of(request))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body, headers_of(request))
    sent = json.loads(request.body)
    assert sent["type"] == "batch.completed"
    counts = {"completed": 0, "failed": 0, "canceled": 2, "rejected": 1}
    assert sent["data"] == {
        "batch_id": str(batch.id),
        "status": "canceled",
        "sequence": 1,
        "counts": counts,
        "metadata": {"order": 7},
    }
    assert headers_of(request)["webhook-id"] == f"msg_{batch.id.hex}"


def test_endpoint_that_asks_for_it_hears_of_the_same_event_with_its_own_secret(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    hook, asking, other = (receive(answering("200 OK")) for _ in range(3))
    endpoint(database, asking.url(), events=("batch.completed",), secrets=(OTHER,))
    endpoint(database, other.url(), events=("job.completed",))
    batch = ended_batch(database, hook.url())
    for delivery in deliveries_of(database, batch):
        deliver(delivery.id, courier)
    assert [len(receiver.seen) for receiver in (hook, asking, other)] == [1, 1, 0]
    Webhook(SECRET).verify(hook.seen[0].body, headers_of(hook.seen[0]))
    Webhook(OTHER).verify(asking.seen[0].body, headers_of(asking.seen[0]))
    assert hook.seen[0].header("webhook-id") == asking.seen[0].header("webhook-id")
