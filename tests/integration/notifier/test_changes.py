"""What changes while a delivery is under way: its receiver works again, its endpoint moves, is deleted or disabled."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from tests.integration.egress.servers import Conversation, Handler, Server
from tests.integration.notifier.couriers import (
    answering,
    endpoint,
    finished_job,
    in_turn,
    make_due,
    row_of,
)
from tests.integration.shared.test_state_machine import Collecting
from tests.waiting import eventually

from pixmill_api.repositories import webhook_views
from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Alert, Endpoint
from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE
from pixmill_shared.repositories import deliveries, receivers
from pixmill_shared.repositories.leases import DELIVERIES

Receive = Callable[[Handler], Server]
PATIENCE = 60


@pytest.fixture
def own(postgres_url: str) -> Iterator[Database]:
    """With connections that the courier does not wait for."""
    own = Database(postgres_url, pool_size=4)
    yield own
    own.dispose()


def fires(database: Database) -> list[tuple[str, bool]]:
    """Alerts by subject; whether all is well meanwhile."""
    query = select(Alert).where(Alert.rule == "deliveries_exhausted").order_by(Alert.id)
    with database.session_scope() as session:
        return [(row.subject, row.clear_since is not None) for row in session.scalars(query)]


def given_up(database: Database, courier: Courier, url: str | None) -> uuid.UUID:
    _, delivery_id = finished_job(database, url)
    make_due(database, delivery_id, attempts=len(WEBHOOK_SCHEDULE))
    deliver(delivery_id, courier)
    assert row_of(database, delivery_id).status == "failed"
    return delivery_id


def move(session: Session, endpoint_id: uuid.UUID, url: str) -> None:
    """As PATCH /endpoints/{id} does it."""
    row = session.get_one(Endpoint, endpoint_id, with_for_update=True)
    row.url = url
    session.flush()
    webhook_views.redirect_waiting(session, row)


def test_alert_of_a_receiver_that_works_again_ends(courier: Courier, database: Database, receive: Receive) -> None:
    receiver = receive(in_turn(answering("500 Oops"), answering("500 Oops"), answering("200 OK")))
    given_up(database, courier, receiver.url())
    subject = f"receiver 127.0.0.1:{receiver.port}"
    assert fires(database) == [(subject, False)]
    _, delivery_id = finished_job(database, receiver.url())
    deliver(delivery_id, courier)
    assert fires(database) == [(subject, False)], "a try that failed ended it"
    make_due(database, delivery_id)
    deliver(delivery_id, courier)
    assert fires(database) == [(subject, True)]


def test_alert_of_an_endpoint_that_was_enabled_again_ends_with_its_first_success(
    courier: Courier, database: Database, receive: Receive
) -> None:
    made = endpoint(database, receive(in_turn(answering("500 Oops"), answering("200 OK"))).url())
    given_up(database, courier, None)
    with database.session_scope() as session:
        session.execute(text("UPDATE endpoints SET failing_since = NULL"))
    deliver(finished_job(database, None)[1], courier)
    assert fires(database) == [(f"endpoint {made}", True)]


@pytest.mark.parametrize("busy", [False, True], ids=["a failed try", "a busy receiver"])
def test_endpoint_that_moves_during_a_try_is_asked_at_its_new_place_next(
    courier: Courier, database: Database, receive: Receive, busy: bool
) -> None:
    new = receive(answering("200 OK"))

    def moves(conversation: Conversation) -> None:
        with database.session_scope() as session:
            move(session, made, new.url("/new"))
        answering("500 Oops")(conversation)

    old = receive(moves)
    made = endpoint(database, old.url("/old"))
    _, delivery_id = finished_job(database, None)
    if busy:
        with database.session_scope() as session:
            claimed = deliveries.claim(session, delivery_id, "w", 60)
        assert claimed is not None
        with database.session_scope() as session:
            move(session, made, new.url("/new"))
        with database.session_scope() as session:
            assert deliveries.later(session, claimed, 1.0)
    else:
        deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.url, row.host) == ("queued", new.url("/new"), f"127.0.0.1:{new.port}")
    make_due(database, delivery_id)
    deliver(delivery_id, courier)
    assert row_of(database, delivery_id).status == "completed"
    assert (old.accepts, new.accepts) == (0 if busy else 1, 1)


@pytest.mark.parametrize("how", ["handed back", "ran out"])
def test_endpoint_that_moves_during_a_claim_that_comes_to_nothing_is_asked_at_its_new_place(
    database: Database, how: str
) -> None:
    made = endpoint(database, "https://old.example/hook")
    _, delivery_id = finished_job(database, None)
    with database.session_scope() as session:
        assert deliveries.claim(session, delivery_id, "w", 60) is not None
    with database.session_scope() as session:
        move(session, made, "https://New.example:8443/hook")
        # The old place is left alone, which is no reason to wait.
        session.execute(text("INSERT INTO receivers (host, retry_at) VALUES ('old.example', now() + interval '1 h')"))
    with database.session_scope() as session:
        if how == "handed back":
            assert DELIVERIES.hand_back(session, delivery_id, "w")
        else:
            assert DELIVERIES.run_out(session, delivery_id, "w")
    Collecting(database, inline=False).recover()
    make_due(database, delivery_id)
    with database.session_scope() as session:
        claimed = deliveries.claim(session, delivery_id, "w", 60, ["old.example"])
    assert claimed is not None
    assert (claimed.url, claimed.host) == ("https://New.example:8443/hook", "new.example:8443")
    row = row_of(database, delivery_id)
    assert (row.url, row.host) == (claimed.url, claimed.host)


def test_delivery_that_ended_keeps_the_url_that_it_went_to(
    courier: Courier, database: Database, receive: Receive
) -> None:
    def moves(conversation: Conversation) -> None:
        with database.session_scope() as session:
            move(session, made, "https://new.example/")
        answering("200 OK")(conversation)

    old = receive(moves)
    made = endpoint(database, old.url("/old"))
    _, delivery_id = finished_job(database, None)
    deliver(delivery_id, courier)
    row = row_of(database, delivery_id)
    assert (row.status, row.url) == ("completed", old.url("/old"))


@pytest.mark.parametrize("status", ["500 Oops", "410 Gone"])
def test_endpoint_is_deleted_while_a_failed_try_is_recorded_and_both_go_through(
    courier: Courier, database: Database, own: Database, receive: Receive, status: str
) -> None:
    """Who deletes has the endpoint and asks for its deliveries; who records may not hold one of them and wait."""
    answered = threading.Event()

    def handler(conversation: Conversation) -> None:
        assert answered.wait(PATIENCE)
        answering(status)(conversation)

    made = endpoint(database, receive(handler).url())
    _, delivery_id = finished_job(database, None)

    def waits_for_the_endpoint() -> bool:
        sql = """
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND state = 'active' AND datname = current_database()
        """
        with own.session_scope() as session:
            return bool(session.scalar(text(sql)))

    with ThreadPoolExecutor(1) as pool:
        with own.session_scope() as session:
            row = session.get_one(Endpoint, made, with_for_update=True)
            trying = pool.submit(deliver, delivery_id, courier)
            answered.set()
            eventually(waits_for_the_endpoint, PATIENCE)
            session.delete(row)
        trying.result(PATIENCE)
    with database.session_scope() as session:
        assert session.scalar(text("SELECT count(*) FROM deliveries")) == 0


def test_receiver_is_forgotten_by_the_clean_up_unless_it_was_asked_lately(
    courier: Courier, database: Database, receive: Receive
) -> None:
    receiver = receive(lambda conversation: None)
    for asked, forgotten in ((False, 1), (True, 0)):
        deliver(finished_job(database, receiver.url())[1], courier)
        with database.session_scope() as session:
            session.execute(text("UPDATE receivers SET asked_at = now() - interval '8 days'"))
        if asked:
            deliver(finished_job(database, receiver.url())[1], courier)
        with database.session_scope() as session:
            assert receivers.forget_old(session, 100) == forgotten


@pytest.mark.parametrize("reason", ["disabled", "busy"])
def test_what_may_not_be_sent_now_does_not_use_up_the_probe_of_its_host(database: Database, reason: str) -> None:
    url = "https://a.example/hook"
    _, free = finished_job(database, url)
    made = endpoint(database, url)
    _, blocked = finished_job(database, None)
    with database.session_scope() as session:
        if reason == "disabled":
            session.execute(text("UPDATE endpoints SET disabled_at = now() WHERE id = :id"), {"id": made})
        sql = "INSERT INTO receivers (host, failures, opened, retry_at) VALUES ('a.example', 5, 1, now())"
        session.execute(text(sql))
    with database.session_scope() as session:
        assert deliveries.claim(session, blocked, "w", 60, ["a.example"] if reason == "busy" else []) is None
    with database.session_scope() as session:
        claimed = deliveries.claim(session, free, "w", 60)
    assert claimed is not None
    assert claimed.probe
