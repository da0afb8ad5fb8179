"""Alerts through real processes: beat's ticks are tasks sent by the test; dispatcher, worker and receivers are real."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.faults.armed import Armed
from tests.integration.egress.conftest import Authority
from tests.integration.egress.servers import Conversation, Server, answer
from tests.integration.notifier.mailbox import PASSWORD, USER, Mailbox, running_mailbox
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database

HOOK = "/services/T000/B000/hunter2ofslack"
LEASE = 300
"""Seconds: the tests end leases themselves. A machine that stands still ends none."""
PATIENCE = 90


class Chat:
    """What a chat was told; ``down`` it answers 503."""

    def __init__(self) -> None:
        self.down = False
        self.told: list[str] = []
        self.server = Server(self._handle)

    def _handle(self, conversation: Conversation) -> None:
        if conversation.target != HOOK:  # somebody who looks for a server that had this port, or is to have it
            answer(404)(conversation)
            return
        if self.down:
            answer(503)(conversation)
            return
        self.told.append(json.loads(conversation.body)["text"])
        answer(200, b"ok")(conversation)


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=2, max_overflow=4)
    yield database
    database.dispose()


@pytest.fixture(autouse=True)
def _no_rows(database: Database, redis_url: str) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters, alerts, alert_messages, reports, service_health CASCADE"))


@pytest.fixture
def chat() -> Iterator[Chat]:
    chat = Chat()
    yield chat
    chat.server.stop()


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    authority = Authority(tmp_path)
    with running_mailbox(authority.server_context("127.0.0.1")) as mailbox:
        yield mailbox


@pytest.fixture
def armed(tmp_path: Path) -> Armed:
    return Armed(tmp_path / "failpoints")


@pytest.fixture
def fleet(
    servers: Servers, postgres_url: str, tmp_path: Path, chat: Chat, mailbox: Mailbox, armed: Armed
) -> Iterator[Fleet]:
    environment = {
        **environment_of(servers.stack.environment, postgres_url, tmp_path),
        "PIXMILL_ENV": "test",
        "PIXMILL_FAILPOINTS": str(armed.directory),
        "PIXMILL_LEASE": str(LEASE),
        "PIXMILL_DISPATCH_POLL": "0.2",
        "PIXMILL_EGRESS_ALLOW": "127.0.0.1",
        "PIXMILL_ALERT_TIMEOUT": "60",
        "PIXMILL_ALERT_DISK_PERCENT": "100",  # of the machine that runs the tests
        "PIXMILL_EGRESS_CA_FILE": str(tmp_path / "ca.pem"),
        "PIXMILL_ALERT_SLACK_URL": chat.server.url(HOOK),
        "PIXMILL_SMTP_URL": f"smtp://{USER}:{PASSWORD.replace('/', '%2F').replace('%of', '%25of')}"
        f"@127.0.0.1:{mailbox.port}?starttls",
        "PIXMILL_ALERT_EMAIL_TO": "ops@example.com",
        "PIXMILL_ALERT_EMAIL_FROM": "pixmill@example.com",
        "CELERY_TIMEZONE": "Asia/Tokyo",
    }
    fleet = Fleet(tmp_path, environment)
    yield fleet
    fleet.stop()


def notifier(fleet: Fleet, name: str = "notifier") -> Running:
    running = fleet.worker(name, "pixmill_notifier.celery_app", "-P", "threads", "-c", "4")
    running.wait_ready()
    return running


def broken(database: Database, service: str = "api") -> None:
    sql = "INSERT INTO service_health (service, status, failures) VALUES (:service, 'unhealthy', 2)"
    with database.session_scope() as session:
        session.execute(text(sql), {"service": service})


def beat(task: TaskName, redis_url: str) -> None:
    """A tick, as beat sends it."""
    with app.connection_for_write(redis_url) as connection:
        app.send_task(task.value, queue=QueueName.NOTIFIER_ALERTS.value, connection=connection, ignore_result=True)


def evaluated(database: Database, redis_url: str, firing: int) -> None:
    """Ticks, until so many alerts fire: one that comes while somebody evaluates still does nothing."""
    due = time.monotonic()

    def fire() -> bool:
        nonlocal due
        if _firing(database) == firing:
            return True
        if time.monotonic() >= due:
            beat(TaskName.EVALUATE_ALERTS, redis_url)
            due = time.monotonic() + 2
        return False

    wait_until(fire, PATIENCE, f"alert {firing}")


def statuses(database: Database) -> dict[str, str]:
    with database.session_scope() as session:
        rows = session.execute(text("SELECT channel, status FROM alert_messages"))
        return {row.channel: row.status for row in rows}


def all_sent(database: Database) -> Callable[[], bool]:
    def sent() -> bool:
        found = statuses(database)
        return set(found) == {"log", "slack", "email"} and set(found.values()) == {"completed"}

    return sent


def test_alert_reaches_every_channel_and_no_secret_the_log(
    fleet: Fleet, database: Database, chat: Chat, mailbox: Mailbox, redis_url: str
) -> None:
    dispatcher, worker = fleet.dispatcher(), notifier(fleet)
    dispatcher.wait_ready()
    broken(database)
    for _ in range(3):
        beat(TaskName.EVALUATE_ALERTS, redis_url)
    wait_until(all_sent(database), PATIENCE, "the alert")
    assert [mail["Subject"] for mail in mailbox.mails] == ["[pixmill] A service is down (api)"]
    assert len(chat.told) == 1
    assert "alert started" in worker.log
    beat(TaskName.SEND_REPORT, redis_url)
    beat(TaskName.SEND_REPORT, redis_url)
    wait_until(lambda: len(mailbox.mails) == 2 and len(chat.told) == 2, PATIENCE, "the digest")
    assert "(Asia/Tokyo)" in mailbox.mails[1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    wait_until(all_sent(database), PATIENCE, "the record")
    assert worker.end(seconds=PATIENCE) == 0
    for secret in ("hunter2", PASSWORD, HOOK):
        assert secret not in worker.log
        assert secret not in dispatcher.log


def test_kill_between_the_sending_and_its_record_repeats_the_message_and_loses_none(
    fleet: Fleet, database: Database, chat: Chat, mailbox: Mailbox, armed: Armed, redis_url: str
) -> None:
    fleet.dispatcher().wait_ready()
    armed.arm("message.sent", "kill", key="email")
    first = notifier(fleet)
    broken(database)
    beat(TaskName.EVALUATE_ALERTS, redis_url)
    assert first.popen.wait(PATIENCE) == -signal.SIGKILL
    assert len(mailbox.mails) == 1
    assert statuses(database)["email"] == "processing"
    with database.session_scope() as session:
        session.execute(text("UPDATE alert_messages SET lease_until = now() WHERE status = 'processing'"))
    notifier(fleet, "second")
    wait_until(all_sent(database), PATIENCE, "the rest")
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1
    assert len(mailbox.mails) == 2
    assert len(chat.told) in (1, 2)  # killed in the middle of this one too, or not


def test_restart_in_the_middle_loses_nothing_and_a_dead_chat_delays_no_mail(
    fleet: Fleet, database: Database, chat: Chat, mailbox: Mailbox, redis_url: str
) -> None:
    chat.down = True
    fleet.dispatcher().wait_ready()
    first = notifier(fleet)
    for number in range(5):
        broken(database, f"service-{number}")
        evaluated(database, redis_url, firing=number + 1)
    wait_until(lambda: len(mailbox.mails) == 5, PATIENCE, "all mails")
    assert chat.told == []
    assert first.end(seconds=PATIENCE) == 0
    broken(database, "last")
    beat(TaskName.EVALUATE_ALERTS, redis_url)
    chat.down = False
    notifier(fleet, "second")
    evaluated(database, redis_url, firing=6)
    # What failed waits for its time, which the test does not.
    wait_until(lambda: _hurried(database) and _unsent(database) == 0, PATIENCE, "all messages")
    told = "\n".join(chat.told)
    assert all(f"(service-{number})" in told for number in range(5))
    assert "(last)" in told
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 6


def _firing(database: Database) -> int:
    with database.session_scope() as session:
        return int(session.scalar(text("SELECT count(*) FROM alerts WHERE state = 'firing'")) or 0)


def _unsent(database: Database) -> int:
    with database.session_scope() as session:
        return int(session.scalar(text("SELECT count(*) FROM alert_messages WHERE status <> 'completed'")) or 0)


def _hurried(database: Database) -> bool:
    with database.session_scope() as session:
        session.execute(text("UPDATE alert_messages SET run_at = now() WHERE run_at > now() AND status = 'queued'"))
    return True
