"""Where mail is handed over: ``smtp://user:password@host:587?starttls``, ``smtps://…`` or a plain ``smtp://host``."""

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

_EXAMPLE: Final = "Write smtp://user:password@host:587?starttls or smtps://user:password@host:465."

_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


class Security(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


_PORTS: Final = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}


@dataclass(frozen=True)
class MailServer:
    """``user`` None: without a login."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str = field(default="", repr=False)


def parse_smtp_url(text: str) -> MailServer:
    """Raise ValueError, whose message shows nothing of ``text``: it holds a password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is malformed. {_EXAMPLE}") from None
    security = _security(parts)
    if not parts.hostname or port == 0 or parts.path.strip("/") or parts.fragment:
        raise ValueError(f"must name a host, and nothing after its port but ?starttls. {_EXAMPLE}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError(f"has one half of a login. {_EXAMPLE}")
    if user and security is Security.NONE and not _is_loopback(parts.hostname):
        raise ValueError(f"would send the password in the clear. {_EXAMPLE}")
    return MailServer(parts.hostname, port or _PORTS[security], security, user or None, password)


def parse_addresses(text: str) -> tuple[str, ...]:
    """Comma separated. Raise ValueError for one that cannot be sent to."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in found:
        if not _ADDRESS.fullmatch(address):
            raise ValueError("must be addresses like ops@example.com, with commas between them.")
    return found


def _security(parts: SplitResult) -> Security:
    if parts.scheme == "smtps" and not parts.query:
        return Security.TLS
    if parts.scheme == "smtp" and parts.query in ("", "starttls"):
        return Security.STARTTLS if parts.query else Security.NONE
    raise ValueError(f"must begin with smtp:// or smtps://, and may end with ?starttls. {_EXAMPLE}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
