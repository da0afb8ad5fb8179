"""Webhooks through real processes: a notifier that is killed or ended in mid-delivery, with a real dispatcher."""

import itertools
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.faults.armed import Armed
from tests.integration.egress.servers import Conversation, Handler, Server
from tests.integration.notifier.couriers import answering, finished_job
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.database.engine import Database

PATIENCE = 90


@pytest.fixture
def armed(tmp_path: Path) -> Armed:
    return Armed(tmp_path / "failpoints")


@pytest.fixture
def fleet(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path, armed: Armed) -> Iterator[Fleet]:
    environment = {
        **environment_of(servers.stack.environment, postgres_url, tmp_path),
        "REDIS_URL": redis_url,
        "PIXMILL_ENV": "test",
        "PIXMILL_FAILPOINTS": str(armed.directory),
        "PIXMILL_LEASE": "300",
        "PIXMILL_DISPATCH_POLL": "0.2",
        "PIXMILL_EGRESS_ALLOW": "127.0.0.1",
        "PIXMILL_WEBHOOK_TIMEOUT": "60",
    }
    fleet = Fleet(tmp_path, environment)
    yield fleet
    fleet.stop()


def notifier(fleet: Fleet, name: str = "notifier") -> Running:
    running = fleet.worker(name, "pixmill_notifier.celery_app", "-P", "threads", "-c", "4")
    running.wait_ready(PATIENCE)
    return running


def statuses(database: Database) -> Counter[str]:
    with database.session_scope() as session:
        return Counter(session.scalars(text("SELECT status FROM deliveries")))


def hurried(database: Database) -> Counter[str]:
    """As ``statuses``, and what was put off while its receiver was busy is due: how long that is, stalls decide."""
    with database.session_scope() as session:
        session.execute(text("UPDATE deliveries SET run_at = now() WHERE run_at > now() AND status = 'queued'"))
    return statuses(database)


def ids_of(server: Server) -> list[str]:
    return [request.header("webhook-id") or "" for request in server.seen]


def test_notifier_killed_between_the_answer_and_the_record_sends_the_same_id_again(
    fleet: Fleet, database: Database, armed: Armed, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("200 OK"))
    armed.arm("webhook.answered", "kill")
    fleet.dispatcher()
    first = notifier(fleet)
    finished_job(database, receiver.url())
    assert first.popen.wait(PATIENCE) == -signal.SIGKILL
    assert len(ids_of(receiver)) == 1
    with database.session_scope() as session:
        session.execute(text("UPDATE deliveries SET lease_until = now() WHERE status = 'processing'"))
    notifier(fleet, "another")
    wait_until(lambda: statuses(database) == {"completed": 1}, PATIENCE, "the delivery")
    assert len(ids_of(receiver)) == 2
    assert len(set(ids_of(receiver))) == 1
    with database.session_scope() as session:
        assert session.scalar(text("SELECT count(DISTINCT event_id) FROM deliveries")) == 1


def test_notifier_that_is_restarted_in_the_middle_loses_nothing(
    fleet: Fleet, database: Database, receive: Callable[[Handler], Server]
) -> None:
    ending, never, answered = threading.Event(), threading.Event(), itertools.count(1)

    def handler(conversation: Conversation) -> None:
        if next(answered) > 8:
            assert ending.wait(PATIENCE)
        never.wait(0.1)
        answering("200 OK")(conversation)

    receiver = receive(handler)
    fleet.dispatcher()
    first = notifier(fleet)
    for _ in range(60):
        finished_job(database, receiver.url())
    wait_until(lambda: hurried(database)["completed"] >= 8, PATIENCE, "the first deliveries")
    first.popen.send_signal(signal.SIGTERM)
    ending.set()
    first.popen.wait(PATIENCE)
    assert statuses(database)["completed"] < 60, "it was over before it was ended"
    notifier(fleet, "another")
    wait_until(lambda: hurried(database) == {"completed": 60}, PATIENCE, "all deliveries")
    assert len(set(ids_of(receiver))) == 60
