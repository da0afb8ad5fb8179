"""Which IP addresses pixmill may talk to, and how an address can be spelled in a URL.

``ipaddress.is_global`` is not used: its answers differ between Python 3.11 and 3.13 (192.88.99.0/24,
2002::/16, 64:ff9b:1::/48, 3fff::/20), and it does not look inside IPv6 addresses that carry an IPv4 address.
The lists below follow the IANA special-purpose registries; IPv6 is decided the safe way round: only 2000::/3
can be public.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_FORBIDDEN_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches loopback on Linux
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata server is 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent: public space that answers inside every virtual machine
        "169.254.0.0/16",  # link-local, and the metadata servers of AWS, Google, Azure, ECS, …
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata server
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

_PUBLIC_V6: Final = IPv6Network("2000::/3")
_FORBIDDEN_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID, …
        "2001:db8::/32",  # documentation
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation
    )
)
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")
# An interface identifier 0000:5efe or 0200:5efe, then the IPv4 address (RFC 5214).
_ISATAP_MARKERS: Final = (0x00005EFE, 0x02005EFE)


def is_public(address: IPAddress) -> bool:
    """True for global unicast. An IPv6 address that carries an IPv4 address is as public as what it carries.

    Teredo and the local NAT64 prefix are refused whole, whatever they carry.
    """
    address = unmapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    if address.scope_id is not None:
        return False
    carried = _carried(address)
    if carried is not None and not is_public(carried):
        return False
    if address in _NAT64:
        return True
    return address in _PUBLIC_V6 and not any(address in network for network in _FORBIDDEN_V6)


def unmapped(address: IPAddress) -> IPAddress:
    """The IPv4 address behind ``::ffff:a.b.c.d`` (the same place to the system); else itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _carried(address: IPv6Address) -> IPv4Address | None:
    bits = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if address in _NAT64 or bits >> 32 & 0xFFFFFFFF in _ISATAP_MARKERS:
        return IPv4Address(bits & 0xFFFFFFFF)
    return None


def literal_address(host: str) -> IPAddress | None:
    """The address that ``host`` spells (without brackets), or None for a name.

    Takes every spelling of IPv4 that resolvers and browsers take: ``2130706433``, ``0x7f.1``, ``0177.0.0.1``.
    Raises ValueError for a host that must be an address (a colon, or a number as its last label) and is none.
    """
    if ":" in host:
        return unmapped(IPv6Address(host))
    parts = host.removesuffix(".").split(".")
    if not _is_number(parts[-1]):
        return None
    if len(parts) > 4:
        raise ValueError("an IPv4 address has at most four parts")
    *front, last = (_number(part) for part in parts)
    if any(value > 255 for value in front) or last >= 256 ** (4 - len(front)):
        raise ValueError("a part of the IPv4 address is too big")
    return IPv4Address(sum(value << 8 * (3 - index) for index, value in enumerate(front)) + last)


def _is_number(part: str) -> bool:
    """Does this last label make the host an IPv4 address, by the URL standard's rule?"""
    return part.isascii() and (part.isdigit() or part[:2].lower() == "0x")


def _number(part: str) -> int:
    if not part.isascii() or not part.isalnum():
        raise ValueError("a part of the IPv4 address is not a number")
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    if len(part) > 1 and part.startswith("0"):
        return int(part, 8)
    return int(part, 10)


@dataclass(frozen=True)
class AllowList:
    """The operator's exceptions. Each is a name or a network, with a port or for every port (None)."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[IPNetwork, int | None], ...] = ()

    def permits_host(self, host: str, port: int) -> bool:
        """True when the name itself is listed: then it may resolve to any address."""
        name = host.lower().removesuffix(".")
        return (name, None) in self.hosts or (name, port) in self.hosts

    def permits_address(self, address: IPAddress, port: int) -> bool:
        address = unmapped(address)
        return any(
            only_port in (None, port) and address.version == network.version and address in network
            for network, only_port in self.networks
        )


def parse_allow_list(text: str) -> AllowList:
    """Read ``a.internal, b.internal:8080, 10.1.0.0/16, 192.168.1.5:9000, [fd00::1]:80, fd00::/8``.

    Raises ValueError with a sentence that quotes the entry which cannot be read.
    """
    hosts: set[tuple[str, int | None]] = set()
    networks: list[tuple[IPNetwork, int | None]] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        target, port = _split_port(entry)
        network = _network(entry, target)
        if network is not None:
            networks.append((network, port))
        else:
            hosts.add((_name(entry, target), port))
    return AllowList(frozenset(hosts), tuple(networks))


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        target, closing, rest = entry[1:].partition("]")
        if not closing or ":" not in target or (rest and not rest.startswith(":")):
            raise ValueError(f"{entry!r} is not of the form [IPv6 address]:port")
        return target, _port(entry, rest[1:]) if rest else None
    if entry.count(":") == 1:
        target, _, port = entry.partition(":")
        return target, _port(entry, port)
    return entry, None


def _port(entry: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"{entry!r}: the port must be a number from 1 to 65535")
    return int(text)


def _network(entry: str, target: str) -> IPNetwork | None:
    looks_like_address = "/" in target or ":" in target or _is_number(target.rsplit(".", 1)[-1])
    if not looks_like_address:
        return None
    try:
        network = ip_network(target, strict=False)
    except ValueError:
        raise ValueError(f"{entry!r} is not an address or a network like 10.1.0.0/16") from None
    if "/" in target and ip_address(target.partition("/")[0]) != network.network_address:
        raise ValueError(f"{entry!r} has bits set after its prefix; write {network} if you mean the network")
    return network


def _name(entry: str, target: str) -> str:
    name = target.lower().removesuffix(".")
    if not is_host_name(name):
        raise ValueError(f"{entry!r} is not a host, an address or a network; wildcards and URLs are not taken")
    return name


def is_host_name(name: str) -> bool:
    """ASCII letters, digits, hyphens and underscores in labels of up to 63, 253 in all; no trailing dot."""
    return len(name) <= 253 and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in name.split(".")
    )
