"""Whom the health checks ask."""

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pixmill_shared.domain.addresses import is_host_name, literal_address
from pixmill_shared.settings.base import Settings

READY: Final = "/health/ready"
_PORTS: Final = {
    "api": 8000,
    "imaging": 8001,
    "notifier": 8002,
    "imaging-io": 8003,
    "worker": 8004,
    "beat": 8005,
    "dispatcher": 8006,
}
_HERE: Final = ",".join(
    [*(f"{name}=http://127.0.0.1:{port}" for name, port in _PORTS.items()), "flower=http://127.0.0.1:5555/healthcheck"]
)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
#: Checked in another way.
_OURS: Final = ("database", "broker", "storage", "heartbeat")


class ProbeSettings(Settings):
    """Read by the worker that checks the health of all services."""

    services: str = Field(
        default=_HERE,
        validation_alias="PIXMILL_SERVICES",
        description="services whose health is checked, as name=URL; without a path, /health/ready is asked",
    )

    @field_validator("services")
    @classmethod
    def _readable(cls, value: str) -> str:
        _parsed(value)
        return value

    @property
    def urls(self) -> dict[str, str]:
        """What to ask, by the service's name."""
        return _parsed(self.services)


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, url = (word.strip() for word in part.partition("="))
        if not _NAME.fullmatch(name) or name in _OURS or name in found:
            raise ValueError(f"{name!r} cannot be a service's name, or is there twice; write api=http://host:8000")
        found[name] = _complete(name, url)
    return found


def _complete(name: str, url: str) -> str:
    """The URL with a path. A message may not show it: somebody may have put a password into it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        fits = parts.scheme in ("http", "https") and parts.port != 0 and "@" not in parts.netloc
        fits = fits and (literal_address(host) is not None or is_host_name(host))
    except ValueError:
        fits = False
    if not fits or not url.isprintable() or " " in url or parts.fragment:
        raise ValueError(f"what {name} is asked at is no URL like http://host:8000")
    return url if parts.path.strip("/") else parts._replace(path=READY).geturl()
