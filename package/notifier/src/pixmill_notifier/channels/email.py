"""Mail: text and HTML, over SMTP."""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime

from pixmill_notifier.channels import smtp
from pixmill_notifier.channels.message import Message
from pixmill_notifier.channels.rendering import Renderer
from pixmill_notifier.domain.mail import MailServer
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class EmailChannel:
    """``timeout`` in seconds, from the name resolution to the server's word that it has the mail."""

    server: MailServer
    sender: str
    recipients: tuple[str, ...]
    tls: ssl.SSLContext
    timeout: float
    renderer: Renderer

    def deliver(self, message: Message) -> None:
        refused = smtp.hand_over(self.server, self._mail(message), self.tls, self.timeout)
        if refused:
            # The others have it: to send it again would be to send it to them twice.
            log.warning("mail refused for some", recipients=refused)

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Subject"] = self.renderer.render(message, "subject.txt").strip()
        mail["Date"] = format_datetime(message.created_at)
        # A repeat, after a crash between the sending and its record, has the same id: mailboxes show one of them.
        mail["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(self.renderer.render(message, "txt"))
        mail.add_alternative(self.renderer.render(message, "html"), subtype="html")
        return mail
