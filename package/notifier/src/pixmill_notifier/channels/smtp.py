"""SMTP within a total deadline. smtplib's time-outs are for each read: a server that drips would never trip them."""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage

from pixmill_notifier.domain.mail import MailServer, Security
from pixmill_notifier.errors import ChannelFailed
from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.resolver import resolve, system_resolver
from pixmill_shared.errors import WorkError


def hand_over(server: MailServer, mail: EmailMessage, tls: ssl.SSLContext, timeout: float) -> int:
    """How many recipients the server refused, of several. Raises ChannelFailed if it did not take the mail.

    ``timeout`` in seconds, for everything. No error shows what the server said: it may repeat the login.
    """
    until = Deadline(timeout)
    try:
        with _connected(server, until) as sock:
            return _Session(server, sock, tls).transmit(mail)
    except (WorkError, OSError, smtplib.SMTPException) as error:
        if until.remaining() <= 0:
            raise ChannelFailed(f"The mail server did not take the mail within {timeout:g} s.") from None
        raise ChannelFailed(_reason(error)) from None


class _Session(smtplib.SMTP):
    """On a socket that is there already."""

    def __init__(self, server: MailServer, sock: socket.socket, tls: ssl.SSLContext) -> None:
        # The machine's own name without asking DNS, which knows no deadline.
        super().__init__(local_hostname=socket.gethostname())
        self._host = server.host  # for starttls(): whose certificate it must be
        self._server, self._ready, self._tls = server, sock, tls

    def transmit(self, mail: EmailMessage) -> int:
        try:
            self._open()
            refused = self.send_message(mail)
            # It has the mail: whatever it says to the goodbye, the mail is not sent again.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self.quit()
            return len(refused)
        finally:
            self.close()

    def _open(self) -> None:
        code, _ = self.connect(self._server.host, self._server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, "")
        if self._server.security is Security.STARTTLS:
            self.starttls(context=self._tls)
        if self._server.user is not None:
            self.login(self._server.user, self._server.password)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        if self._server.security is Security.TLS:
            return self._tls.wrap_socket(self._ready, server_hostname=host)
        return self._ready


@contextlib.contextmanager
def _connected(server: MailServer, until: Deadline) -> Iterator[socket.socket]:
    """A connection that is cut at the deadline, whoever waits for it then."""
    sock = _connect(server, until)
    # A second handle of the same connection: TLS takes the first one over.
    with sock, sock.dup() as twin:

        def cut() -> None:
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(until.remaining(), 0), cut)
        timer.daemon = True
        timer.start()
        try:
            yield sock
        finally:
            timer.cancel()


def _connect(server: MailServer, until: Deadline) -> socket.socket:
    last: OSError = OSError()
    addresses = resolve(system_resolver, server.host, server.port, until)
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            # One that swallows what is sent to it leaves as much time to each of the others, and to the mail.
            share = until.bound(until.remaining() / (left + 1))
            sock = socket.create_connection((address, server.port), timeout=share)
        except OSError as error:
            last = error
        else:
            sock.settimeout(until.seconds)  # it is cut at the deadline
            return sock
    raise last


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPException):
        return _refusal(error)
    if isinstance(error, WorkError):
        return error.detail
    if isinstance(error, ssl.SSLError):
        return f"TLS with the mail server failed: {getattr(error, 'verify_message', '') or error.reason}."
    return "The mail server could not be reached."


def _refusal(error: smtplib.SMTPException) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"The mail server refused the login ({error.smtp_code})."
        case smtplib.SMTPNotSupportedError():
            return "The mail server does not offer what PIXMILL_SMTP_URL asks for: STARTTLS, or a login."
        case smtplib.SMTPRecipientsRefused():
            codes = sorted({str(code) for code, _ in error.recipients.values()})
            return f"The mail server refused every recipient ({', '.join(codes)})."
        case smtplib.SMTPResponseException():
            return f"The mail server refused the mail ({error.smtp_code})."
        case _:
            return "The mail server closed the connection."
