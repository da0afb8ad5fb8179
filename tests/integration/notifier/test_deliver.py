"""One try of a webhook, with a real database and a real receiver: what is sent, what is judged, what is recorded."""

import base64
import datetime
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from standardwebhooks import Webhook, WebhookVerificationError
from tests.integration.egress.servers import Conversation, Handler, Server
from tests.integration.notifier.couriers import (
    SECRET,
    answering,
    attempts_of,
    finished_job,
    headers_of,
    letters,
    make_due,
    row_of,
    timed,
    wait_of,
)

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_notifier.service.message import LARGEST_BODY, signed_headers
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import ApiKey, JobEvent
from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE
from pixmill_shared.domain.failures import error_document
from pixmill_shared.egress import EgressClient
from pixmill_shared.repositories import deliveries
from pixmill_shared.service.keys import By, create_key, rotate_secret
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.settings.egress import EgressSettings


def test_receiver_that_answers_204_has_it_delivered(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("204 No Content"))
    job_id, delivery_id = finished_job(database, receiver.url("/hook"), metadata={"order": 7})
    deliver(delivery_id, courier)
    row, (attempt,) = row_of(database, delivery_id), attempts_of(database, delivery_id)
    assert (row.status, row.attempts, row.error, row.lease_until, row.run_at) == ("completed", 1, None, None, None)
    assert row.finished_at is not None
    assert (attempt.status_code, attempt.error, attempt.fence) == (204, None, 1)
    (request,) = receiver.seen
    sent = json.loads(request.body)
    assert list(sent) == ["type", "timestamp", "data"]
    assert sent["type"] == "job.completed"
    assert datetime.datetime.fromisoformat(sent["timestamp"]).tzinfo is not None
    data = sent["data"]
    assert set(data) == {"job_id", "status", "sequence", "outputs", "error", "metadata"}
    assert (data["job_id"], data["status"], data["sequence"]) == (str(job_id), "completed", 1 + len(data["outputs"]))
    assert (data["error"], data["metadata"]) == (None, {"order": 7})
    (shown,) = data["outputs"]
    assert (shown["name"], shown["width"], shown["height"], shown["bytes"]) == ("output-0", 800, 600, 12_345)
    assert shown["url"].startswith("https://pixmill.example/files/renditions/")
    assert request.header("content-type") == "application/json"
    deliver(delivery_id, courier)
    assert receiver.accepts == 1, "a doubled message delivered twice"


def test_failed_job_tells_why(courier: Courier, database: Database, receive: Callable[[Handler], Server]) -> None:
    receiver = receive(answering("200 OK"))
    error = error_document(ErrorCode.TOO_LARGE, "The source has more than 50 MB.")
    _, delivery_id = finished_job(database, receiver.url(), error=error)
    deliver(delivery_id, courier)
    sent = json.loads(receiver.seen[0].body)
    assert (sent["type"], sent["data"]["status"], sent["data"]["outputs"]) == ("job.failed", "failed", [])
    assert sent["data"]["error"] == error


def test_signature_verifies_with_the_instance_secret_and_no_other(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url(), metadata={"ä": "ü €"})
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    assert Webhook(SECRET).verify(request.body, headers_of(request))["type"] == "job.completed"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 24).decode()).verify(request.body, headers_of(request))


def test_job_with_an_api_key_is_signed_with_that_keys_secret(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    with database.session_scope() as session:
        created = create_key(session, courier.sealer, project="default", name="k")
        session.flush()
        key_id = session.scalars(select(ApiKey.id)).one()
    receiver = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url(), api_key_id=key_id)
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    Webhook(created.webhook_secret).verify(request.body, headers_of(request))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body, headers_of(request))


@pytest.mark.parametrize(("grace", "signatures"), [(60, 2), (0, 1)])
def test_rotated_key_signs_with_its_former_secret_too_until_the_grace_is_over(
    courier: Courier, database: Database, receive: Callable[[Handler], Server], grace: int, signatures: int
) -> None:
    with database.session_scope() as session:
        made = create_key(session, courier.sealer, project="default", name="k")
        rotated = rotate_secret(session, courier.sealer, made.key, grace=grace, secret=None, by=By("test"))
    receiver = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url(), api_key_id=made.key.id)
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    assert len(headers_of(request)["webhook-signature"].split()) == signatures
    Webhook(rotated).verify(request.body, headers_of(request))
    if signatures == 2:
        Webhook(made.webhook_secret).verify(request.body, headers_of(request))
    else:
        with pytest.raises(WebhookVerificationError):
            Webhook(made.webhook_secret).verify(request.body, headers_of(request))


def test_signature_is_the_one_of_the_published_vector() -> None:
    sent_at = datetime.datetime.fromtimestamp(1_614_265_330, datetime.UTC)
    headers = signed_headers(
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",), "msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"


def test_answer_500_is_tried_again_by_the_schedule_with_one_id_and_fresh_timestamps(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("500 Oops", body=b"no luck"))
    _, delivery_id = finished_job(database, receiver.url())
    begun = int(datetime.datetime.now(datetime.UTC).timestamp())
    for number, expected in enumerate(WEBHOOK_SCHEDULE[:4], start=1):
        took = timed(delivery_id, courier)
        row = row_of(database, delivery_id)
        assert (row.status, row.queue, row.attempts) == ("queued", QueueName.NOTIFIER_RETRY, number)
        assert row.error == {"detail": "The receiver answered with HTTP 500."}
        assert 0.75 * expected < wait_of(database, delivery_id) < 1.25 * expected + took
        deliver(delivery_id, courier)
        assert receiver.accepts == number, "delivered before its time"
        make_due(database, delivery_id)
    headers = [headers_of(request) for request in receiver.seen]
    assert len({each["webhook-id"] for each in headers}) == 1
    now = datetime.datetime.now(datetime.UTC).timestamp()
    for each, request in zip(headers, receiver.seen, strict=True):
        assert begun <= int(each["webhook-timestamp"]) <= now
        Webhook(SECRET).verify(request.body, each)
    assert [attempt.response_excerpt for attempt in attempts_of(database, delivery_id)] == ["no luck"] * 4
    assert letters(database) == []


def test_redirect_is_not_followed_and_tried_again(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    elsewhere = receive(answering("200 OK"))
    receiver = receive(answering("302 Found", f"Location: {elsewhere.url('/other')}"))
    _, delivery_id = finished_job(database, receiver.url())
    deliver(delivery_id, courier)
    assert elsewhere.accepts == 0
    assert row_of(database, delivery_id).status == "queued"
    assert [attempt.status_code for attempt in attempts_of(database, delivery_id)] == [302]


def test_answer_410_ends_it_without_a_dead_letter(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    _, delivery_id = finished_job(database, receive(answering("410 Gone")).url())
    deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.attempts, row.run_at) == ("failed", 1, None)
    assert letters(database) == []


@pytest.mark.parametrize(("status", "at_least"), [("429 Slow down", 120.0), ("503 Busy", 120.0), ("500 Oops", 0.0)])
def test_wish_of_a_busy_receiver_is_a_lower_bound(
    courier: Courier, database: Database, receive: Callable[[Handler], Server], status: str, at_least: float
) -> None:
    _, delivery_id = finished_job(database, receive(answering(status, "Retry-After: 120")).url())
    took = timed(delivery_id, courier)
    wait = wait_of(database, delivery_id)
    assert at_least - 1 < wait < max(at_least, WEBHOOK_SCHEDULE[0] * 1.3) + took


def test_forbidden_address_fails_at_once_and_nothing_is_sent(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url())
    deliver(delivery_id, replace(courier, egress=EgressClient(EgressSettings())))
    row = row_of(database, delivery_id)
    assert (row.status, row.attempts) == ("failed", 1)
    assert receiver.accepts == 0
    assert letters(database) == []
    (attempt,) = attempts_of(database, delivery_id)
    assert attempt.status_code is None
    assert "address that pixmill may not reach" in str(attempt.error)


def test_receiver_that_is_not_there_is_tried_again(courier: Courier, database: Database) -> None:
    _, delivery_id = finished_job(database, "http://127.0.0.1:1/")
    deliver(delivery_id, courier)
    assert row_of(database, delivery_id).status == "queued"
    assert attempts_of(database, delivery_id)[0].status_code is None


def test_last_try_fails_and_leaves_a_dead_letter(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    _, delivery_id = finished_job(database, receive(answering("500 Oops")).url())
    make_due(database, delivery_id, attempts=len(WEBHOOK_SCHEDULE))
    deliver(delivery_id, courier)
    row, (letter,) = row_of(database, delivery_id), letters(database)
    assert (row.status, row.attempts, row.run_at) == ("failed", len(WEBHOOK_SCHEDULE) + 1, None)
    assert letter.task == "pixmill_notifier.tasks.webhooks.deliver_webhook"
    assert letter.payload == {"delivery_id": str(delivery_id)}
    assert (letter.attempts, letter.project) == (len(WEBHOOK_SCHEDULE) + 1, "default")


def test_try_that_lost_its_claim_records_nothing(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    """The receiver is slow; meanwhile the lease runs out and another worker takes the delivery."""
    ids: list[uuid.UUID] = []

    def handler(conversation: Conversation) -> None:
        with database.session_scope() as session:
            session.execute(text("UPDATE deliveries SET lease_until = now() - interval '1 s'"))
            assert deliveries.WORK.expire_leases(session, 11) == 1
            assert deliveries.claim(session, ids[0], "another", 60) is not None
        answering("204 No Content")(conversation)

    _, delivery_id = finished_job(database, receive(handler).url())
    ids.append(delivery_id)
    deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.fence, row.claimed_by) == ("processing", 2, "another")
    assert attempts_of(database, delivery_id) == []


def test_body_stays_small_with_many_outputs_and_much_metadata(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("200 OK"))
    metadata = {f"key-{number}": "ä" * 70 for number in range(50)}
    _, many = finished_job(database, receiver.url(), outputs=20)
    _, much = finished_job(database, receiver.url(), outputs=40, metadata=metadata)
    deliver(many, courier)
    deliver(much, courier)
    bodies = [request.body for request in receiver.seen]
    assert max(map(len, bodies)) <= LARGEST_BODY
    first, second = (json.loads(body)["data"] for body in bodies)
    assert [each["name"] for each in first["outputs"]] == [f"output-{number}" for number in range(20)]
    assert second["metadata"] == metadata
    assert (second["outputs"], second["outputs_omitted"]) == ([], True)


def test_secret_that_does_not_open_is_tried_again_by_the_schedule(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    """PIXMILL_SECRET_KEY was exchanged without its previous value: hours to notice, not eleven leases."""
    with database.session_scope() as session:
        create_key(session, Sealer(["another key, of another time"]), project="default", name="k")
        session.flush()
        key_id = session.scalars(select(ApiKey.id)).one()
    receiver = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url(), api_key_id=key_id)
    deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.queue, row.attempts) == ("queued", "notifier.retry", 1)
    assert wait_of(database, delivery_id) > 3
    assert receiver.accepts == 0
    assert attempts_of(database, delivery_id)[0].error == "pixmill could not prepare the webhook."


def test_signed_url_and_secret_are_in_no_row_and_no_line(
    courier: Courier,
    database: Database,
    receive: Callable[[Handler], Server],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Even where the receiver sends back what it got."""

    def echo(conversation: Conversation) -> None:
        answering("500 Oops", body=conversation.head.encode() + conversation.body)(conversation)

    receiver = receive(echo)
    _, delivery_id = finished_job(database, receiver.url("/hook?token=theirs"))
    with caplog.at_level(logging.DEBUG):
        deliver(delivery_id, courier)
    url = json.loads(receiver.seen[0].body)["data"]["outputs"][0]["url"]
    query = url.partition("?")[2]
    assert len(query) > 20
    with database.session_scope() as session:
        tables = ("jobs", "deliveries", "delivery_attempts", "job_events", "outputs", "renditions", "dead_letters")
        kept = "\n".join(
            str(session.execute(text(f"SELECT coalesce(jsonb_agg(t), '[]')::text FROM {table} t")).scalar())
            for table in tables
        )
        assert session.scalars(select(JobEvent.type)).all() == ["job.completed"]
    logged = caplog.text + "".join(capfd.readouterr())
    assert "webhook tried" in logged
    for place in (kept, logged):
        for secret in (query, query.rpartition("=")[2], SECRET, SECRET.removeprefix("whsec_")):
            assert secret not in place
    assert "renditions/" in str(attempts_of(database, delivery_id)[0].response_excerpt)
