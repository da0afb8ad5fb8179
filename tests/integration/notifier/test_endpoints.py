"""Endpoints: who is told of what, signed how, and when an endpoint is told no more."""

import base64
import datetime
import json
import uuid
from collections.abc import Callable
from urllib.parse import quote

import pytest
import structlog
from sqlalchemy import select, text
from standardwebhooks import Webhook, WebhookVerificationError
from tests.integration.egress.servers import Conversation, Handler, Server
from tests.integration.notifier.couriers import (
    SECRET,
    answering,
    attempts_of,
    deliveries_to,
    endpoint,
    endpoint_row,
    finished_job,
    headers_of,
    in_turn,
    letters,
    make_due,
    row_of,
)

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Alert, Delivery
from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE
from pixmill_shared.domain.failures import error_document
from pixmill_shared.repositories import resending

OLDER = "whsec_" + base64.b64encode(b"the secret that was there before").decode()
FAILED = error_document(ErrorCode.TOO_LARGE, "The source has more than 50 MB.")
Receive = Callable[[Handler], Server]


def alerts(database: Database) -> list[tuple[str, str]]:
    with database.session_scope() as session:
        return [(row.rule, row.subject) for row in session.scalars(select(Alert).order_by(Alert.id))]


def failing_since(database: Database, endpoint_id: uuid.UUID, days: float) -> None:
    with database.session_scope() as session:
        session.execute(
            text("UPDATE endpoints SET failing_since = now() - make_interval(secs => :s) WHERE id = :id"),
            {"s": days * 86_400, "id": endpoint_id},
        )


def test_one_event_goes_to_the_jobs_receiver_and_to_each_endpoint_that_asks_for_it(database: Database) -> None:
    everything = endpoint(database, "https://a.example/all")
    failures = endpoint(database, "https://b.example/failed", events=("job.failed",))
    others = endpoint(database, "https://c.example/other", project="other")
    disabled = endpoint(database, "https://d.example/off")
    with database.session_scope() as session:
        session.execute(text("UPDATE endpoints SET disabled_at = now() WHERE id = :id"), {"id": disabled})
    job_id, _ = finished_job(database, "https://hook.example/h")
    finished_job(database, None, error=FAILED)
    with database.session_scope() as session:
        rows = list(session.scalars(select(Delivery).where(Delivery.job_id == job_id).order_by(Delivery.id)))
    assert {(row.endpoint_id, row.url, row.host) for row in rows} == {
        (None, "https://hook.example/h", "hook.example"),
        (everything, "https://a.example/all", "a.example"),
    }
    assert len({row.event_id for row in rows}) == 1
    assert {row.id.version for row in rows} == {7}
    assert [row.event_type for row in deliveries_to(database, everything)] == ["job.completed", "job.failed"]
    assert [row.event_type for row in deliveries_to(database, failures)] == ["job.failed"]
    assert deliveries_to(database, others) == deliveries_to(database, disabled) == []


def test_while_secrets_are_rotated_either_verifies_and_an_expired_one_no_more(
    courier: Courier, database: Database, receive: Receive
) -> None:
    receiver = receive(answering("200 OK"))
    made = endpoint(database, receiver.url(), secrets=(OLDER, SECRET))
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    assert len(headers_of(request)["webhook-signature"].split()) == 2
    newest = {**headers_of(request), "webhook-signature": headers_of(request)["webhook-signature"].split()[0]}
    Webhook(SECRET).verify(request.body, newest)
    for secret in (OLDER, SECRET):
        assert Webhook(secret).verify(request.body, headers_of(request))["type"] == "job.completed"
    with database.session_scope() as session:
        sql = "UPDATE endpoint_secrets SET expires_at = now() WHERE expires_at IS NOT NULL AND endpoint_id = :id"
        session.execute(text(sql), {"id": made})
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    Webhook(SECRET).verify(receiver.seen[1].body, headers_of(receiver.seen[1]))
    with pytest.raises(WebhookVerificationError):
        Webhook(OLDER).verify(receiver.seen[1].body, headers_of(receiver.seen[1]))


def test_headers_of_the_endpoint_are_sent_and_override_none_of_ours(
    courier: Courier, database: Database, receive: Receive
) -> None:
    receiver = receive(answering("200 OK"))
    endpoint(database, receiver.url(), headers={"authorization": "Bearer theirs", "webhook-id": "msg_forged"})
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    assert request.header("authorization") == "Bearer theirs"
    assert request.head.lower().count("webhook-id") == 1
    assert request.header("webhook-id") == f"msg_{row_of(database, delivery_id).event_id.hex}"


def test_answer_410_disables_the_endpoint_with_an_alert_and_nothing_more_is_sent(
    courier: Courier, database: Database, receive: Receive
) -> None:
    receiver = receive(answering("410 Gone"))
    made = endpoint(database, receiver.url())
    _, first = finished_job(database, None)
    _, second = finished_job(database, None)
    deliver(first, courier)
    row = endpoint_row(database, made)
    assert (row.disabled_reason, row.disabled_at is None) == ("gone", False)
    assert alerts(database) == [("endpoint_disabled", f"endpoint {made}")]
    deliver(second, courier)
    assert receiver.accepts == 1
    skipped = row_of(database, second)
    assert (skipped.status, skipped.attempts, skipped.error) == (
        "canceled",
        0,
        {"detail": "The endpoint is disabled: nothing is sent to it."},
    )
    finished_job(database, None)
    assert len(deliveries_to(database, made)) == 2, "an endpoint that is disabled hears of nothing new"


def test_endpoint_that_fails_for_five_days_is_disabled_and_one_day_less_is_not(
    courier: Courier, database: Database, receive: Receive
) -> None:
    made = endpoint(database, receive(answering("500 Oops")).url())
    for days, disabled in ((0.0, False), (4.0, False), (5.1, True)):
        _, delivery_id = finished_job(database, None)
        if days:
            failing_since(database, made, days)
        deliver(delivery_id, courier)
        row = endpoint_row(database, made)
        assert row.failing_since is not None
        assert (row.disabled_reason == "failing", row.disabled_at is not None) == (disabled, disabled)
    assert alerts(database) == [("endpoint_disabled", f"endpoint {made}")]


def test_one_success_forgives_the_failures_before(courier: Courier, database: Database, receive: Receive) -> None:
    answers = (answering("500 Oops"), answering("200 OK"), answering("500 Oops"))
    made = endpoint(database, receive(in_turn(*answers)).url())
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    failing_since(database, made, 4.9)
    make_due(database, delivery_id)
    deliver(delivery_id, courier)
    assert endpoint_row(database, made).failing_since is None
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    row = endpoint_row(database, made)
    assert row.disabled_at is None
    assert row.failing_since is not None
    assert datetime.datetime.now(datetime.UTC) - row.failing_since < datetime.timedelta(hours=1)


def test_last_try_raises_one_alert_for_its_endpoint(courier: Courier, database: Database, receive: Receive) -> None:
    receiver = receive(answering("500 Oops"))
    made = endpoint(database, receiver.url("/secret-path"))
    for _ in range(2):
        _, delivery_id = finished_job(database, None)
        make_due(database, delivery_id, attempts=len(WEBHOOK_SCHEDULE))
        deliver(delivery_id, courier)
    assert len(letters(database)) == 2
    assert alerts(database) == [("deliveries_exhausted", f"endpoint {made}")]


def test_ping_tells_of_itself_to_one_endpoint(courier: Courier, database: Database, receive: Receive) -> None:
    receiver = receive(answering("200 OK"))
    made = endpoint(database, receiver.url(), events=("job.failed",))
    with database.session_scope() as session:
        delivery_id = resending.ping(session, made, {"endpoint_id": str(made)})
    deliver(delivery_id, courier)
    request = receiver.seen[0]
    sent = Webhook(SECRET).verify(request.body, headers_of(request))
    assert (sent["type"], sent["data"]) == ("ping", {"endpoint_id": str(made)})
    with database.session_scope() as session:
        again = resending.repeat(session, delivery_id)
    assert again is not None
    deliver(again, courier)
    assert receiver.seen[1].body == request.body
    assert headers_of(receiver.seen[1])["webhook-id"] == headers_of(request)["webhook-id"]
    assert json.loads(request.body)["timestamp"].endswith("Z")


def test_what_a_receiver_repeats_of_the_headers_and_the_query_of_its_endpoint_is_not_kept(
    courier: Courier, database: Database, receive: Receive
) -> None:
    """It answers with what it got, as a service for debugging does: in JSON, and the URL encoded."""

    def echo(conversation: Conversation) -> None:
        lines = [line.partition(": ") for line in conversation.head.split("\r\n")[1:]]
        got = {"headers": {name: value for name, _, value in lines}, "url": quote(conversation.target, safe="")}
        answering("200 OK", body=json.dumps({**got, "args": {"key": "hunter3"}}).encode())(conversation)

    receiver = receive(echo)
    endpoint(database, receiver.url("/hook?key=hunter3"), headers={"authorization": 'Bearer "hunter2"'})
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    assert receiver.seen[0].header("authorization") == 'Bearer "hunter2"'
    kept = json.loads(str(attempts_of(database, delivery_id)[0].response_excerpt))
    assert (kept["headers"]["authorization"], kept["url"], kept["args"]) == ("…", "%2Fhook?…", {"key": "…"})
    assert kept["headers"]["User-Agent"] == "pixmill"


def test_secret_and_headers_of_an_endpoint_are_in_no_row_and_no_line(
    courier: Courier, database: Database, receive: Receive
) -> None:
    """Whether it answers, is refused, or cannot even be signed for. How processes print a traceback is theirs."""
    endpoint(database, receive(answering("500 Oops")).url(), headers={"authorization": "Bearer hunter2"})
    broken = endpoint(database, "http://127.0.0.1:1/", headers={"x-token": "hunter3"})
    with database.session_scope() as session:
        session.execute(text("UPDATE endpoint_secrets SET secret = 'x' WHERE endpoint_id = :id"), {"id": broken})
    job_id, _ = finished_job(database, None)
    with database.session_scope() as session:
        ids = list(session.scalars(select(Delivery.id).where(Delivery.job_id == job_id)))
    with structlog.testing.capture_logs() as lines:
        for delivery_id in ids:
            deliver(delivery_id, courier)
    logged = str(lines)
    assert "webhook tried" in logged
    assert "unexpected error in a delivery" in logged
    with database.session_scope() as session:
        tables = ("endpoints", "endpoint_secrets", "deliveries", "delivery_attempts", "receivers", "alerts")
        kept = "".join(
            str(session.scalars(text(f"SELECT row_to_json(t)::text FROM {each} t")).all()) for each in tables
        )
    assert "pixmill could not prepare the webhook." in kept
    for secret in ("hunter2", "hunter3", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in logged
        assert secret not in kept
