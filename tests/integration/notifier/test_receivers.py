"""Receivers that do not answer, or not as they should: what becomes of their deliveries, and of those of others."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text
from tests.integration.egress.servers import Conversation, Handler, Server
from tests.integration.notifier.couriers import (
    answering,
    attempts_of,
    endpoint,
    finished_job,
    in_turn,
    letters,
    make_due,
    row_of,
    timed,
    wait_of,
)
from tests.waiting import eventually

from pixmill_notifier.domain.gate import Gate
from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.egress import EgressClient
from pixmill_shared.repositories import deliveries
from pixmill_shared.settings.egress import EgressSettings

Receive = Callable[[Handler], Server]


def hang(conversation: Conversation) -> None:
    """Until the end of the test, or so long that nobody who has a deadline hears the answer."""
    if not conversation.stopping.wait(60):
        answering("200 OK")(conversation)


def close(conversation: Conversation) -> None:
    """At once, without a word."""


def drip(conversation: Conversation) -> None:
    for letter in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
        if conversation.stopping.wait(0.2):
            return
        conversation.send(letter.encode())


def flood(conversation: Conversation) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
    conversation.send(head + b"x" * 10_000_000)


@pytest.fixture
def hasty(courier: Courier) -> Courier:
    return replace(courier, timeout=0.6)


@pytest.mark.parametrize("handler", [hang, drip, close], ids=["hangs", "drips", "closes"])
def test_receiver_that_gives_no_answer_in_time_is_tried_again(
    hasty: Courier, database: Database, receive: Receive, handler: Handler
) -> None:
    _, delivery_id = finished_job(database, receive(handler).url())
    deliver(delivery_id, hasty)
    row, (attempt,) = row_of(database, delivery_id), attempts_of(database, delivery_id)
    assert (row.status, row.attempts, row.queue) == ("queued", 1, QueueName.NOTIFIER_RETRY)
    assert (attempt.status_code, bool(attempt.error)) == (None, True)


def test_of_ten_megabytes_two_kilobytes_are_kept(courier: Courier, database: Database, receive: Receive) -> None:
    _, delivery_id = finished_job(database, receive(flood).url())
    deliver(delivery_id, courier)
    assert row_of(database, delivery_id).status == "completed"
    assert attempts_of(database, delivery_id)[0].response_excerpt == "x" * 2048


def test_receiver_that_breaks_tls_is_tried_again(hasty: Courier, database: Database, receive: Receive) -> None:
    plain = receive(answering("200 OK"))
    _, delivery_id = finished_job(database, plain.url().replace("http://", "https://"))
    deliver(delivery_id, hasty)
    assert row_of(database, delivery_id).status == "queued"


def test_name_that_turns_to_loopback_after_the_check_is_not_followed(
    courier: Courier, database: Database, receive: Receive
) -> None:
    """The name is resolved once, and what was checked is connected to."""
    receiver, asked = receive(answering("200 OK")), []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    rebound = replace(courier, egress=EgressClient(EgressSettings(connect_timeout=0.3), resolver))
    _, delivery_id = finished_job(database, f"http://rebinding.example:{receiver.port}/")
    deliver(delivery_id, rebound)
    make_due(database, delivery_id)
    deliver(delivery_id, rebound)
    assert receiver.accepts == 0
    assert row_of(database, delivery_id).status == "failed"


def open_circuit(database: Database, courier: Courier, url: str) -> None:
    for _ in range(courier.patience.silences):
        deliver(finished_job(database, url)[1], courier)


def circuit(database: Database) -> list[tuple[int, int, bool]]:
    """Failures, how often it opened, whether it is open now; host by host."""
    sql = "SELECT failures, opened, coalesce(retry_at > clock_timestamp(), false) FROM receivers ORDER BY host"
    with database.session_scope() as session:
        return [tuple(row) for row in session.execute(text(sql))]


def let_time_pass(database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("UPDATE receivers SET retry_at = now() WHERE retry_at IS NOT NULL"))
        session.execute(text("UPDATE deliveries SET run_at = NULL WHERE status = 'queued'"))


def test_receiver_that_is_dead_is_left_alone_and_what_waits_for_it_is_put_off_together(
    courier: Courier, database: Database, receive: Receive
) -> None:
    dead, alive = receive(close), receive(answering("200 OK"))
    waiting = [finished_job(database, dead.url())[1] for _ in range(4)]
    open_circuit(database, courier, dead.url())
    assert circuit(database) == [(5, 1, True)]
    _, new = finished_job(database, dead.url())
    assert row_of(database, new).run_at is not None, "published, only to be held back"
    _, other = finished_job(database, alive.url())
    assert row_of(database, other).run_at is None
    deliver(waiting[0], courier)
    assert dead.accepts == 5, "a receiver that is left alone was asked"
    for each in waiting:
        row = row_of(database, each)
        assert (row.status, row.attempts, row.queue, row.run_at is None) == ("queued", 0, "notifier.retry", False)
        assert attempts_of(database, each) == []
    with database.session_scope() as session:
        seconds = session.scalar(
            text("SELECT extract(epoch FROM max(run_at) - now()) FROM deliveries WHERE attempts = 0")
        )
    assert 5 < float(seconds or 0) <= 31
    deliver(other, courier)
    assert row_of(database, other).status == "completed"


def test_what_has_waited_for_days_for_a_dead_receiver_is_given_up_with_dead_letters_and_one_alert(
    courier: Courier, database: Database, receive: Receive
) -> None:
    dead = receive(close)
    old, older, fresh = (finished_job(database, dead.url())[1] for _ in range(3))
    open_circuit(database, courier, dead.url())
    with database.session_scope() as session:
        sql = "UPDATE deliveries SET created_at = now() - interval '73 hours' WHERE id = ANY(:ids)"
        session.execute(text(sql), {"ids": [old, older]})
    deliver(fresh, courier)
    assert [row_of(database, each).status for each in (old, older, fresh)] == ["failed", "failed", "queued"]
    assert {letter.payload["delivery_id"] for letter in letters(database)} == {str(old), str(older)}
    with database.session_scope() as session:
        rows = session.execute(text("SELECT rule, subject FROM alerts")).all()
    assert [tuple(row) for row in rows] == [("deliveries_exhausted", f"receiver 127.0.0.1:{dead.port}")]


def test_one_probe_goes_at_a_time_and_its_answer_lets_all_go(
    courier: Courier, database: Database, receive: Receive
) -> None:
    state = {"dead": True}

    def handler(conversation: Conversation) -> None:
        if not state["dead"]:
            answering("500 Oops")(conversation)

    receiver = receive(handler)
    open_circuit(database, courier, receiver.url())
    let_time_pass(database)
    ids = [finished_job(database, receiver.url())[1] for _ in range(3)]
    with database.session_scope() as session:
        probe = deliveries.claim(session, ids[0], "one", 60)
    with database.session_scope() as session:
        second = deliveries.claim(session, ids[1], "two", 60)
    assert probe is not None
    assert probe.probe
    assert second is None, "two probes at once"
    with database.session_scope() as session:
        assert deliveries.later(session, probe, 0)
    let_time_pass(database)
    deliver(ids[0], courier)
    assert circuit(database) == [(6, 2, True)], "a probe without an answer waits for longer"
    state["dead"] = False
    let_time_pass(database)
    deliver(ids[1], courier)
    assert circuit(database) == [], "any answer closes it"
    accepts = receiver.accepts
    deliver(ids[2], courier)
    assert receiver.accepts == accepts + 1


def test_answer_in_between_begins_the_count_anew(courier: Courier, database: Database, receive: Receive) -> None:
    answers: list[Handler] = [close, close, close, close, answering("404 Not here"), close, close, close, close]
    receiver = receive(in_turn(*answers))
    for _ in range(len(answers)):
        deliver(finished_job(database, receiver.url())[1], courier)
    assert circuit(database) == [(4, 0, False)]


def test_over_the_cap_of_its_host_a_delivery_is_handed_back_without_an_attempt(
    courier: Courier, database: Database, receive: Receive
) -> None:
    answered = threading.Event()

    def slow(conversation: Conversation) -> None:
        answered.wait(60)
        answering("200 OK")(conversation)

    receiver, other = receive(slow), receive(answering("200 OK"))
    narrow = replace(courier, gate=Gate(2), timeout=60.0)
    ids = [finished_job(database, receiver.url())[1] for _ in range(3)]
    threads = [threading.Thread(target=deliver, args=(each, narrow)) for each in ids[:2]]
    for thread in threads:
        thread.start()
    eventually(lambda: receiver.accepts == 2, 60, every=0.01)
    deliver(ids[2], narrow)
    row = row_of(database, ids[2])
    assert (row.status, row.attempts, row.queue, row.lease_until) == ("queued", 0, "notifier.retry", None)
    assert row.run_at is not None
    assert attempts_of(database, ids[2]) == []
    _, elsewhere = finished_job(database, other.url())
    deliver(elsewhere, narrow)
    assert row_of(database, elsewhere).status == "completed"
    answered.set()
    for thread in threads:
        thread.join(60)
    assert [row_of(database, each).status for each in ids] == ["completed", "completed", "queued"]
    make_due(database, ids[2])
    deliver(ids[2], narrow)
    assert row_of(database, ids[2]).status == "completed"


def test_while_a_host_is_busy_what_comes_for_it_is_not_even_claimed(
    courier: Courier, database: Database, receive: Receive
) -> None:
    gate = Gate(1)
    narrow, receiver = replace(courier, gate=gate), receive(answering("200 OK"))
    _, delivery_id = finished_job(database, receiver.url())
    host = str(row_of(database, delivery_id).host)
    place = gate.enter(host)
    assert isinstance(place, int)
    eventually(gate.busy, 60, every=0.01)
    deliver(delivery_id, narrow)
    row = row_of(database, delivery_id)
    assert (row.status, row.fence, row.queue, row.run_at is None) == ("queued", 0, "notifier.retry", False)
    assert receiver.accepts == 0
    gate.leave(host, place)
    make_due(database, delivery_id)
    deliver(delivery_id, narrow)
    assert row_of(database, delivery_id).status == "completed"


def test_three_failures_and_a_success_are_four_attempts_at_the_right_times_of_one_event(
    courier: Courier, database: Database, receive: Receive
) -> None:
    """The clock is that of the rows: what is due later is made due now, and how much later it was is what counts."""
    answers = [answering("500 Oops")] * 3 + [answering("200 OK")]
    receiver = receive(in_turn(*answers))
    made = endpoint(database, receiver.url())
    delivery_id = finished_job(database, None)[1]
    for due in (5, 30, 120):
        took = timed(delivery_id, courier)
        assert 0.79 * due < wait_of(database, delivery_id) < 1.21 * due + took
        make_due(database, delivery_id)
    deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.attempts, row.endpoint_id) == ("completed", 4, made)
    assert [attempt.status_code for attempt in attempts_of(database, delivery_id)] == [500, 500, 500, 200]
    assert {request.header("webhook-id") for request in receiver.seen} == {f"msg_{row.event_id.hex}"}


def test_no_delivery_of_an_endpoint_that_was_deleted_is_left(database: Database) -> None:
    made: uuid.UUID = endpoint(database, "https://a.example/")
    _, delivery_id = finished_job(database, None)
    with database.session_scope() as session:
        session.execute(text("DELETE FROM endpoints WHERE id = :id"), {"id": made})
        assert deliveries.claim(session, delivery_id, "w", 60) is None
