"""The health checks' way out: to the addresses that the operator named in PIXMILL_SERVICES, and to no other.

These are pixmill's own processes in a network of its own, which the guard would refuse. So nothing that comes from
outside chooses an address here: a caller names a service. Redirects are answers, and are not followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from pixmill_shared.domain.addresses import parse_allow_list
from pixmill_shared.egress.client import excerpt_of
from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.guard import Destination, Guard
from pixmill_shared.egress.resolver import system_resolver
from pixmill_shared.egress.transport import Transport
from pixmill_shared.egress.urls import parse_url, port_of

MOST_READ: Final = 4_096
"""Bytes of an answer's body."""


@dataclass(frozen=True)
class ProbeAnswer:
    """``status`` is any HTTP status; ``body`` the start of what came with it."""

    status: int
    body: str


class _Unguarded(Guard):
    """Resolves a name, and judges nothing."""

    def check(self, url: httpx.URL, deadline: Deadline) -> Destination:
        port = port_of(url)
        return Destination(url.host, port, self._addresses(url.host, port, deadline))


class ProbeClient:
    """``services``: URLs by name, as ``ProbeSettings.urls``. Holds no connection; threads may share it.

    Raises InvalidUrl for what is no URL.
    """

    def __init__(self, services: Mapping[str, str], timeout: float) -> None:
        self._urls = {name: parse_url(url) for name, url in services.items()}
        self.timeout = timeout
        unguarded = _Unguarded(parse_allow_list(""), system_resolver)
        self._transport = Transport(unguarded, httpx.create_ssl_context(trust_env=False), connect_timeout=timeout)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(self._urls)

    def ask(self, service: str) -> ProbeAnswer:
        """GET its URL, within ``timeout`` seconds from the name's resolution to the end of what is read.

        Raises SourceUnreachable or SourceTimeout where no status came; KeyError for a service that is not named.
        """
        url, until = self._urls[service], Deadline(self.timeout)
        with self._transport.exchange("GET", url, until, {"User-Agent": "pixmill"}) as response:
            return ProbeAnswer(response.status, excerpt_of(response, MOST_READ))
