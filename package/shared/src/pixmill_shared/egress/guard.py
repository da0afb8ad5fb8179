"""The one decision of the guard: to which addresses may this URL be connected?"""

from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from pixmill_shared.domain.addresses import AllowList, IPAddress, is_public, literal_address, unmapped
from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.errors import ForbiddenAddress
from pixmill_shared.egress.resolver import Resolver, resolve
from pixmill_shared.egress.urls import parse_url, port_of


@dataclass(frozen=True)
class Destination:
    """Where a request may go: only to one of ``addresses``, all of which were checked.

    ``addresses`` is empty only for a host on the allow-list behind a proxy, which then resolves the name.
    """

    host: str
    port: int
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True)
class Guard:
    allow: AllowList
    resolver: Resolver
    proxied: bool = False

    def check(self, url: httpx.URL, deadline: Deadline) -> Destination:
        """Resolve the host once and judge every address.

        Raises ForbiddenAddress if a single one may not be reached: a name with one public and one private
        address is an attack or a mistake, and which of the two a connection would take is chance.
        """
        port = port_of(url)
        trusted = self.allow.permits_host(url.host, port)
        if trusted and self.proxied:
            # Names that only the proxy can resolve are common in the networks that have one.
            return Destination(url.host, port, ())
        addresses = self._addresses(url.host, port, deadline)
        if not trusted and not all(self._may_reach(address, port) for address in addresses):
            raise ForbiddenAddress(f"{url.host} is at an address that pixmill may not reach.")
        return Destination(url.host, port, addresses)

    def _addresses(self, host: str, port: int, deadline: Deadline) -> tuple[IPAddress, ...]:
        literal = literal_address(host)
        if literal is not None:
            return (literal,)
        return tuple(unmapped(ip_address(text)) for text in resolve(self.resolver, host, port, deadline))

    def _may_reach(self, address: IPAddress, port: int) -> bool:
        return is_public(address) or self.allow.permits_address(address, port)


def forbidden_literal(text: str, allow: AllowList) -> str | None:
    """Why a URL whose host is an address, not a name, will never be connected to; names are judged when they resolve.

    Raises InvalidUrl.
    """
    url = parse_url(text)
    address, port = literal_address(url.host), port_of(url)
    if address is None or allow.permits_host(url.host, port):
        return None
    if is_public(address) or allow.permits_address(address, port):
        return None
    return f"{url.host} is an address that pixmill may not reach."
