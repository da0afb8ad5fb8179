"""Messages through real sockets: what a chat, a receiver of JSON and a mail server get, and what if they fail."""

import base64
import json
import logging
import random
import ssl
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from standardwebhooks import Webhook
from tests.integration.egress.conftest import Authority
from tests.integration.egress.servers import Conversation, Handler, Server, answer, drip, stall
from tests.integration.notifier.mailbox import PASSWORD, USER, Mailbox, running_mailbox
from tests.integration.notifier.watch import Watch, patient

from pixmill_notifier.channels import Channel, smtp
from pixmill_notifier.channels.email import EmailChannel
from pixmill_notifier.channels.log import LogChannel
from pixmill_notifier.channels.posting import Receiver
from pixmill_notifier.channels.rendering import Renderer
from pixmill_notifier.channels.slack import SlackChannel
from pixmill_notifier.channels.webhook import WebhookChannel
from pixmill_notifier.domain.mail import MailServer, Security
from pixmill_notifier.service.message import signed_headers
from pixmill_notifier.service.messenger import Messenger, send
from pixmill_notifier.service.report import send_due
from pixmill_shared.database.models import AlertMessage, DeadLetter
from pixmill_shared.domain.backoff import MESSAGE_SCHEDULE
from pixmill_shared.egress import EgressClient
from pixmill_shared.settings.egress import EgressSettings

SECRET = "whsec_" + base64.b64encode(b"a secret of the whole instance!!").decode()
HOOK = "/services/T000/B000/hunter2ofslack"
RENDERER = Renderer("pixmill.example.com")
TIMEOUT = 30.0


@pytest.fixture
def watch(postgres_url: str) -> Iterator[Watch]:
    database = patient(postgres_url, pool_size=4, max_overflow=8)
    watch = Watch(database)
    watch.empty()
    yield watch
    database.dispose()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(handler: Handler, **options: Any) -> Server:
        servers.append(Server(handler, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mailbox(authority: Authority) -> Iterator[Mailbox]:
    with running_mailbox(authority.server_context("127.0.0.1")) as mailbox:
        yield mailbox


def receiver(server: Server, allow: str = "127.0.0.1") -> Receiver:
    return Receiver(EgressClient(EgressSettings(allow=allow)), SecretStr(server.url(HOOK)), TIMEOUT)


def slack(server: Server) -> SlackChannel:
    return SlackChannel(receiver(server), RENDERER)


def email(mailbox: Mailbox, authority: Authority | None, timeout: float = TIMEOUT, **changes: Any) -> EmailChannel:
    login = {"user": USER, "password": PASSWORD, "security": Security.STARTTLS}
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority.ca_file)
    return EmailChannel(
        server=MailServer(**{"host": "127.0.0.1", "port": mailbox.port, **login, **changes}),
        sender="pixmill@example.com",
        recipients=("ops@example.com", "boss@example.com"),
        tls=context,
        timeout=timeout,
        renderer=RENDERER,
    )


def messenger(watch: Watch, **channels: Channel) -> Messenger:
    return Messenger(watch.database, channels, lease=30.0, worker_name="a test", rng=random.Random(1))


def sent(watch: Watch, with_: Messenger, channel: str) -> AlertMessage:
    """The channel's last message after one try."""
    send(watch.messages(channel)[-1].id, with_)
    return watch.messages(channel)[-1]


def alarmed(watch: Watch, *channels: str) -> Watch:
    watch.channels = channels
    watch.service("api", failures=2, code=503)
    assert watch.tick() == 1
    return watch


def make_due(watch: Watch) -> None:
    watch.run("UPDATE alert_messages SET run_at = NULL")


def wait_of(message: AlertMessage) -> float:
    """Seconds from the creation to the next try; the tests take little of them."""
    assert message.run_at is not None
    return (message.run_at - message.created_at).total_seconds()


def letters(watch: Watch) -> list[DeadLetter]:
    with watch.database.session_scope() as session:
        return list(session.scalars(select(DeadLetter)))


def test_chat_gets_an_alert_and_its_end(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(200, b"ok"))
    with_ = messenger(watch, slack=slack(server))
    alarmed(watch, "slack")
    assert sent(watch, with_, "slack").status == "completed"
    for _ in range(11):
        watch.service("api", failures=0)
        watch.tick()
    assert sent(watch, with_, "slack").status == "completed"
    first, second = (json.loads(request.body) for request in server.seen)
    assert set(first) == {"text"}
    assert ":rotating_light: *A service is down* (api)" in first["text"]
    assert "HTTP 503" in first["text"]
    assert ":white_check_mark: Over: *A service is down* (api)" in second["text"]
    assert server.seen[0].target == HOOK
    assert server.seen[0].header("content-type") == "application/json"


def test_message_that_was_sent_is_not_sent_again_by_a_doubled_task(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(200))
    with_ = messenger(watch, slack=slack(server))
    alarmed(watch, "slack")
    for _ in range(3):
        sent(watch, with_, "slack")
    assert server.accepts == 1


def test_receiver_of_json_verifies_the_signature(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(204))
    channel = WebhookChannel(receiver(server), partial(signed_headers, (SECRET,)))
    alarmed(watch, "webhook")
    message = sent(watch, messenger(watch, webhook=channel), "webhook")
    assert message.status == "completed"
    (request,) = server.seen
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    document = Webhook(SECRET).verify(request.body, {name: request.header(name) or "" for name in names})
    assert (document["type"], document["data"]["changes"][0]["subject"]) == ("alerts.changed", "api")
    assert request.header("webhook-id") == f"msg_{message.id.hex}"


def test_log_is_told_of_each_change(
    watch: Watch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    alarmed(watch, "log")
    with caplog.at_level(logging.INFO):
        assert sent(watch, messenger(watch, log=LogChannel()), "log").status == "completed"
    logged = caplog.text + "".join(capfd.readouterr())
    assert "alert started" in logged
    assert "api failed 2 checks in a row" in logged


def test_mail_comes_as_text_and_html_over_starttls_after_a_login(
    watch: Watch, mailbox: Mailbox, authority: Authority
) -> None:
    alarmed(watch, "email")
    message = sent(watch, messenger(watch, email=email(mailbox, authority)), "email")
    assert (message.status, mailbox.encrypted) == ("completed", [True])
    assert mailbox.envelopes == [("pixmill@example.com", ["ops@example.com", "boss@example.com"])]
    (mail,) = mailbox.mails
    assert mail["Subject"] == "[pixmill] A service is down (api)"
    assert (mail["To"], mail["Auto-Submitted"]) == ("ops@example.com, boss@example.com", "auto-generated")
    assert mail["Message-ID"] == f"<{message.id}@example.com>"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_mail_server_gets_the_digest(watch: Watch, mailbox: Mailbox, authority: Authority) -> None:
    watch.channels = ("email",)
    assert send_due(watch.desk())
    assert sent(watch, messenger(watch, email=email(mailbox, authority)), "email").status == "completed"
    (mail,) = mailbox.mails
    assert mail["Subject"] == "[pixmill] 2026-02-28: 0 completed, 0 failed"
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "pixmill at pixmill.example.com: 2026-02-28 (Europe/Berlin)" in text
    assert "<h1" in html


def test_mail_over_tls_from_the_first_byte(watch: Watch, authority: Authority, serve: Callable[..., Server]) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.send(b"220 hello\r\n")
        for reply in (b"250-me\r\n250 SIZE 1000000\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            conversation.sock.recv(65_536)
            conversation.send(reply)
        data = b""
        while not data.endswith(b"\r\n.\r\n"):
            data += conversation.sock.recv(65_536)
        conversation.send(b"250 taken\r\n")

    server = serve(handler, tls=authority.server_context("127.0.0.1"), reads=False)
    channel = email(Mailbox(port=server.port), authority, security=Security.TLS, user=None)
    alarmed(watch, "email")
    assert sent(watch, messenger(watch, email=channel), "email").status == "completed"


def test_mail_that_was_taken_is_not_sent_again_for_an_odd_goodbye(
    watch: Watch, mailbox: Mailbox, authority: Authority
) -> None:
    mailbox.goodbye = "421 I am tired"
    alarmed(watch, "email")
    assert sent(watch, messenger(watch, email=email(mailbox, authority)), "email").status == "completed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "hunter2wrong"}, "The mail server refused the login (535)."),
        ({"port": 1}, "The mail server could not be reached."),
        ({"host": "no-such-host.invalid"}, "cannot be resolved"),
        ({"security": Security.NONE, "user": None}, "The mail server refused the mail (530)."),
        ({"security": Security.TLS}, "TLS with the mail server failed: "),
    ],
    ids=["login", "port", "host", "in the clear", "tls"],
)
def test_mail_that_is_not_taken_waits_and_the_row_says_why_without_the_login(
    watch: Watch,
    mailbox: Mailbox,
    authority: Authority,
    changes: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where no name server answers, to be told that there is no such name may take longer than the mail has.
    monkeypatch.setattr(smtp, "system_resolver", lambda host, port: [host] if host == "127.0.0.1" else [])
    alarmed(watch, "email")
    message = sent(watch, messenger(watch, email=email(mailbox, authority, **changes)), "email")
    assert (message.status, mailbox.mails) == ("queued", [])
    assert reason in str(message.error)
    assert "hunter2" not in str(message.error)


def test_mail_server_whose_certificate_nobody_vouches_for_gets_no_login(watch: Watch, mailbox: Mailbox) -> None:
    alarmed(watch, "email")
    message = sent(watch, messenger(watch, email=email(mailbox, None)), "email")
    assert "TLS with the mail server failed: unable to get local issuer certificate" in str(message.error)
    assert mailbox.envelopes == []


def test_mail_that_is_refused_for_now_is_sent_later_with_the_same_id(
    watch: Watch, mailbox: Mailbox, authority: Authority
) -> None:
    mailbox.answers = ["451 come back later, hunter2"]
    alarmed(watch, "email")
    with_ = messenger(watch, email=email(mailbox, authority))
    message = sent(watch, with_, "email")
    assert (message.status, message.error) == ("queued", {"detail": "The mail server refused the mail (451)."})
    make_due(watch)
    assert sent(watch, with_, "email").status == "completed"
    assert mailbox.mails[0]["Message-ID"] == f"<{message.id}@example.com>"


@pytest.mark.parametrize("handler", [stall, drip(b"220-"), drip(b"220 hello\r\n250-")], ids=["hangs", "drips", "later"])
def test_mail_server_that_is_slow_is_cut_off_at_the_deadline(
    watch: Watch, serve: Callable[..., Server], handler: Handler
) -> None:
    server = serve(handler, reads=False)
    channel = email(Mailbox(port=server.port), None, timeout=1.0, security=Security.NONE, user=None)
    alarmed(watch, "email")
    message = sent(watch, messenger(watch, email=channel), "email")
    assert message.error == {"detail": "The mail server did not take the mail within 1 s."}


def test_failing_channel_is_tried_again_while_the_others_have_theirs_at_once(
    watch: Watch, serve: Callable[..., Server], mailbox: Mailbox, authority: Authority
) -> None:
    statuses = iter([500, 429, 200])

    def handler(conversation: Conversation) -> None:
        answer(next(statuses))(conversation)

    server = serve(handler)
    with_ = messenger(watch, slack=slack(server), email=email(mailbox, authority), log=LogChannel())
    alarmed(watch, "slack", "email", "log")
    for number, status in ((1, 500), (2, 429)):
        message = sent(watch, with_, "slack")
        assert (message.status, message.attempts) == ("queued", number)
        assert message.error == {"detail": f"The receiver answered with HTTP {status}."}
        assert 0.7 * MESSAGE_SCHEDULE[number - 1] < wait_of(message) < 1.3 * MESSAGE_SCHEDULE[number - 1] + 30
        send(message.id, with_)
        assert server.accepts == number, "sent before its time"
        make_due(watch)
    assert (sent(watch, with_, "email").status, sent(watch, with_, "log").status) == ("completed", "completed")
    assert sent(watch, with_, "slack").status == "completed"


def test_wish_of_a_busy_chat_is_a_lower_bound(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(429, Retry_After="600"))
    alarmed(watch, "slack")
    assert wait_of(sent(watch, messenger(watch, slack=slack(server)), "slack")) > 590


def test_message_is_given_up_after_the_last_try_with_a_dead_letter(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(404))
    alarmed(watch, "slack")
    with_ = messenger(watch, slack=slack(server))
    for _ in MESSAGE_SCHEDULE:
        assert sent(watch, with_, "slack").status == "queued"
        assert letters(watch) == []
        make_due(watch)
    message, (letter,) = sent(watch, with_, "slack"), letters(watch)
    assert (message.status, message.attempts) == ("failed", len(MESSAGE_SCHEDULE) + 1)
    assert (letter.task, letter.project) == ("pixmill_notifier.tasks.alerts.send_message", None)
    assert letter.payload == {"message_id": str(message.id)}


def test_message_for_a_channel_that_was_taken_away_waits_for_its_return(watch: Watch) -> None:
    alarmed(watch, "slack")
    message = sent(watch, messenger(watch), "slack")
    assert (message.status, message.error) == ("queued", {"detail": "The channel is not set up any more."})


def test_private_address_is_reached_only_if_it_is_allowed(watch: Watch, serve: Callable[..., Server]) -> None:
    server = serve(answer(200))
    alarmed(watch, "slack")
    message = sent(watch, messenger(watch, slack=SlackChannel(receiver(server, allow=""), RENDERER)), "slack")
    assert (message.status, server.accepts) == ("queued", 0)


def test_try_that_lost_its_claim_records_nothing(watch: Watch, serve: Callable[..., Server]) -> None:
    def handler(conversation: Conversation) -> None:
        watch.run("UPDATE alert_messages SET fence = fence + 1, claimed_by = 'another'")
        answer(500)(conversation)

    server = serve(handler)
    alarmed(watch, "slack")
    message = sent(watch, messenger(watch, slack=slack(server)), "slack")
    assert (message.status, message.claimed_by, message.error) == ("processing", "another", None)


def test_no_secret_is_in_a_row_a_log_line_or_an_error(
    watch: Watch,
    serve: Callable[..., Server],
    mailbox: Mailbox,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also where the other side sends back all that it got."""

    def echo(conversation: Conversation) -> None:
        answer(500, conversation.head.encode() + conversation.body)(conversation)

    server = serve(echo)
    alarmed(watch, "slack", "webhook", "email")
    with_ = messenger(
        watch,
        slack=slack(server),
        webhook=WebhookChannel(receiver(server), partial(signed_headers, (SECRET,))),
        email=email(mailbox, authority, password="hunter2wrong"),
    )
    with caplog.at_level(logging.DEBUG):
        for channel in ("slack", "webhook", "email"):
            assert sent(watch, with_, channel).status == "queued"
        watch.run("UPDATE alert_messages SET run_at = NULL, attempts = 99")
        for channel in ("slack", "webhook", "email"):
            assert sent(watch, with_, channel).status == "failed"
    with watch.database.session_scope() as session:
        kept = str(
            [{**row.__dict__} for table in (AlertMessage, DeadLetter) for row in session.scalars(select(table)).all()]
        )
    # The mail server of the test, which is told all, logs in this process too.
    lines = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    logged = "\n".join([*lines, *capfd.readouterr()])
    assert "message given up" in logged
    assert "HTTP 500" in kept
    for place in (kept, logged, repr(with_)):
        for secret in ("hunter2", SECRET, SECRET.removeprefix("whsec_"), HOOK):
            assert secret not in place
    assert uuid.UUID(letters(watch)[0].payload["message_id"])
