"""A mail server of the test's own: STARTTLS or TLS with a certificate, a login, and what came in."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "pixmill", "hunter2/of%mail"


@dataclass
class Mailbox:
    """``answers`` are told to DATA, one each; then all is taken. ``peers`` says which session was encrypted."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    goodbye: str = "221 Bye"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.encrypted.append(session.ssl is not None)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self.goodbye


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    # aiosmtpd repeats nothing by itself; a real server may well say whom it does not know, and with what.
    return AuthResult(success=fits, handled=False)


class _Controller(Controller):
    """Of a socket that listens already: between a free port and its server another process could come."""

    def __init__(self, listener: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._listener = listener

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)


@contextmanager
def running_mailbox(tls: ssl.SSLContext | None, *, login: bool = True) -> Iterator[Mailbox]:
    """Listens on 127.0.0.1; ``tls``: takes nothing before STARTTLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    mailbox = Mailbox(port=listener.getsockname()[1])
    controller = _Controller(
        listener,
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=_authenticate,
        auth_required=login,
        ready_timeout=60,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
