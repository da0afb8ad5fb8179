"""What the schedule measures: how much waits in each queue, and how every service is."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from tests.integration.egress.conftest import connects, serve
from tests.integration.egress.servers import Conversation, Server, answer
from tests.ports import closed_port

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.egress.probe import ProbeClient
from pixmill_shared.service.checking import Pace, check_services
from pixmill_shared.service.sampling import sample_queues

__all__ = ["connects", "serve"]

Serve = Callable[..., Server]
READY = b'{"status": "ready", "checks": {"database": "ok", "broker": "ok"}}'
NOT_READY = b'{"status": "not ready", "checks": {"database": "ok", "broker": "unavailable", "storage": "unavailable"}}'


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, deliveries, queue_samples, service_health CASCADE"))
    yield database
    database.dispose()


def run(database: Database, sql: str, **values: object) -> None:
    with database.session_scope() as session:
        session.execute(text(sql), values)


def rows(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.session_scope() as session:
        return [dict(row) for row in session.execute(text(sql)).mappings()]


# --- Queues ---


def jobs(database: Database, count: int, age: float, *, queue: str = "imaging", **columns: str) -> None:
    names, values = ", ".join(columns), ", ".join(columns.values())
    run(
        database,
        f"""
        INSERT INTO jobs (id, project, stage, queue, source, recipe, created_at {", " * bool(columns)}{names})
        SELECT gen_random_uuid(), 'default', 'render', :queue, '{{}}', '{{}}', now() - make_interval(secs => :age)
               {", " * bool(columns)}{values}
        FROM generate_series(1, :count)
        """,
        queue=queue,
        age=age,
        count=count,
    )


def last(database: Database) -> dict[str, tuple[int, float | None]]:
    found = rows(
        database, "SELECT DISTINCT ON (queue) queue, depth, oldest_seconds FROM queue_samples ORDER BY queue, at DESC"
    )
    return {row["queue"]: (row["depth"], row["oldest_seconds"]) for row in found}


def test_sample_has_what_is_due_in_each_queue_and_since_when(database: Database) -> None:
    jobs(database, 3, 20)
    jobs(database, 2, 40, dispatched_at="now()")
    jobs(database, 4, 900, run_at="now() + interval '1 hour'")
    jobs(database, 5, 900, status="'processing'", lease_until="now() + interval '1 minute'")
    jobs(database, 1, 5, queue="fetch")
    run(
        database,
        "INSERT INTO deliveries (id, project, queue, event_id, event_type, url)"
        " VALUES (gen_random_uuid(), 'default', 'notifier', gen_random_uuid(), 'ping', 'http://x/')",
    )
    assert sample_queues(database) == {"imaging": 5, "fetch": 1, "notifier": 1}
    found = last(database)
    assert set(found) == set(QueueName)
    depth, oldest = found["imaging"]
    assert depth == 5
    assert oldest is not None
    assert 40 <= oldest < 900
    assert found["imaging.low"] == (0, None)


def test_row_that_is_tried_again_has_waited_since_the_last_sample_at_the_longest(database: Database) -> None:
    """A try an hour after the row was made is no queue in which something has waited for an hour."""
    sample_queues(database)
    run(database, "UPDATE queue_samples SET at = now() - interval '30 s'")
    jobs(database, 1, 3_600)
    sample_queues(database)
    depth, oldest = last(database)["imaging"]
    assert depth == 1
    assert oldest is not None
    assert 30 <= oldest < 600
    # And one that really waits is older in each sample by the time between them.
    run(database, "UPDATE queue_samples SET at = at - interval '600 s'")
    sample_queues(database)
    later = last(database)["imaging"][1]
    assert later is not None
    assert oldest + 600 <= later < oldest + 1200


# --- Services ---


def drip(conversation: Conversation) -> None:
    """A header that never ends, a byte at a time."""
    conversation.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not conversation.stopping.wait(0.05):
        conversation.send(b"x")


def services(database: Database) -> dict[str, dict[str, Any]]:
    return {row["service"]: row for row in rows(database, "SELECT * FROM service_health")}


def test_each_service_is_found_as_it_is_and_one_that_hangs_holds_up_no_other(database: Database, serve: Serve) -> None:
    elsewhere = serve(answer(200, READY))
    urls = {
        "api": serve(answer(200, READY)).url("/health/ready"),
        "imaging": serve(answer(503, NOT_READY)).url("/health/ready"),
        "notifier": serve(answer(500, b"<html>" + b"x" * 100_000)).url(),
        "beat": serve(answer(302, Location=elsewhere.url())).url(),
        "dispatcher": f"http://127.0.0.1:{closed_port()}/health/ready",
        **{f"slow-{number}": serve(drip).url() for number in range(4)},
    }

    def broken() -> None:
        raise ConnectionError("redis://:password@broker refuses")

    over = threading.Event()
    dependencies: dict[str, Callable[[], Any]] = {
        "database": database.ping,
        "broker": broken,
        "storage": lambda: over.wait(120),
    }
    expected = {
        "api": ("healthy", 200, None),
        "imaging": ("unhealthy", 503, "not ready: broker, storage"),
        "notifier": ("unhealthy", 500, "HTTP 500"),
        "beat": ("unhealthy", 302, "HTTP 302"),
        "dispatcher": ("unhealthy", None, "127.0.0.1 does not accept connections."),
        **{f"slow-{number}": ("unhealthy", None, "no answer in 1 seconds") for number in range(4)},
        "database": ("healthy", None, None),
        "broker": ("unhealthy", None, "no good answer (ConnectionError)"),
        "storage": ("unhealthy", None, "no answer in 3 seconds"),
    }

    def checked() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        result = check_services(database, ProbeClient(urls, 1.0), dependencies, Pace(longest=3.0, tries=1))
        return result, services(database)

    # Where the machine stands still, who is well is late too. Of some times once is enough: a check that waits for
    # another does so each time.
    for _ in range(10):
        begun = time.monotonic()
        result, found = checked()
        took = time.monotonic() - begun
        said = {name: (row["status"], row["status_code"], row["error"]) for name, row in found.items()}
        if said == expected:
            break
    over.set()
    assert said == expected
    assert took < 60, "the checks run side by side, and none is waited for"
    assert elsewhere.accepts == 0, "a redirect is not followed"
    assert result == {"checked": 12, "unhealthy": sorted(found.keys() - {"api", "database"})}
    assert found["slow-0"]["response_ms"] >= 1000
    assert found["storage"]["response_ms"] == 3000


def test_change_of_state_is_kept_and_failures_are_counted_until_it_ends(database: Database, serve: Serve) -> None:
    told = [200, 503, 503, 200]

    def tell(conversation: Conversation) -> None:
        answer(told.pop(0))(conversation)

    server = serve(tell)
    client = ProbeClient({"api": server.url()}, 30.0)
    seen = []
    for _ in range(len(told)):
        check_services(database, client, {}, Pace(longest=60.0, tries=1))
        row = services(database)["api"]
        seen.append((row["status"], row["failures"], row["since"] == row["checked_at"]))
    assert seen == [("healthy", 0, True), ("unhealthy", 1, True), ("unhealthy", 2, False), ("healthy", 0, True)]


def test_service_that_is_being_started_is_not_down(database: Database, serve: Serve) -> None:
    told = [503, 500, 200]

    def tell(conversation: Conversation) -> None:
        answer(told.pop(0))(conversation)

    well = serve(answer(200))
    client = ProbeClient({"api": serve(tell).url(), "beat": well.url()}, 30.0)
    assert check_services(database, client, {}, Pace(longest=60.0, pause=0.05)) == {"checked": 2, "unhealthy": []}
    assert (services(database)["api"]["status_code"], told, well.accepts) == (200, [], 1)


def test_service_that_nobody_checks_any_more_is_forgotten_after_a_day(database: Database, serve: Serve) -> None:
    url = serve(answer(200)).url()
    check_services(database, ProbeClient({"old": url, "lately": url}, 30.0), {}, Pace(longest=60.0, tries=1))
    run(database, "UPDATE service_health SET checked_at = now() - interval '25 h' WHERE service = 'old'")
    check_services(database, ProbeClient({"api": url}, 30.0), {}, Pace(longest=60.0, tries=1))
    assert set(services(database)) == {"api", "lately"}


def test_client_asks_nothing_but_the_services_that_are_named(serve: Serve, connects: list[str]) -> None:
    client = ProbeClient({"api": serve(answer(200)).url()}, 30.0)
    with pytest.raises(KeyError):
        client.ask("http://127.0.0.1:1/")
    assert connects == []
    assert client.ask("api").status == 200
    assert connects == ["127.0.0.1"]
