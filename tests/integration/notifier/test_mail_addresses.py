"""A mail server with several addresses, of which some do not answer."""

import socket
import ssl
from email.message import EmailMessage
from typing import Any

import pytest
from tests.integration.notifier.mailbox import running_mailbox

from pixmill_notifier.channels import smtp
from pixmill_notifier.domain.mail import MailServer, Security
from pixmill_notifier.errors import ChannelFailed

TIMEOUT = 90.0
CONNECT = socket.create_connection


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "pixmill@example.com", "ops@example.com", "s"
    made.set_content("t")
    return made


def test_address_that_swallows_everything_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an IPv6 address does where packets to it are dropped. It takes all the time that it is given."""
    given: list[float] = []

    def connect(address: tuple[str, int], timeout: float) -> Any:
        given.append(timeout)
        if address[0] != "127.0.0.1":
            raise TimeoutError
        return CONNECT(address, timeout=timeout)

    monkeypatch.setattr(smtp, "system_resolver", lambda host, port: ["::1", "127.0.0.2", "127.0.0.1"])
    monkeypatch.setattr(socket, "create_connection", connect)
    with running_mailbox(None, login=False) as mailbox:
        server = MailServer(host="mail.example.com", port=mailbox.port, security=Security.NONE)
        assert smtp.hand_over(server, mail(), ssl.create_default_context(), TIMEOUT) == 0
        assert len(mailbox.mails) == 1
    assert len(given) == 3
    assert sum(given[:2]) < TIMEOUT * 2 / 3, "they would have left nothing for the last one"


def test_mail_is_not_taken_if_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "system_resolver", lambda host, port: ["127.0.0.2", "127.0.0.1"])
    server = MailServer(host="mail.example.com", port=1, security=Security.NONE)
    with pytest.raises(ChannelFailed, match="could not be reached"):
        smtp.hand_over(server, mail(), ssl.create_default_context(), TIMEOUT)
