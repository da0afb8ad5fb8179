"""Which addresses are refused, how they can be spelled, and what the allow-list takes."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.addresses import AllowList, is_public, literal_address, parse_allow_list

FORBIDDEN_V4 = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1"),
    *(
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
    ),
    *("198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
]
PUBLIC_V4 = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "93.184.216.34", "100.63.255.255", "100.128.0.1"),
    *("126.1.1.1", "128.0.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.1.1", "198.17.0.1"),
    *("198.20.0.1", "223.255.255.254"),
]
FORBIDDEN_V6 = [
    *(
        "::",
        "::1",
        "::2",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
    ),
    *("fd20:ce::254", "ff02::1", "100::1", "2001:db8::1", "2001:2::1", "2001:10::1", "2001:20::1", "3fff::1"),
    *("3ffe::1", "4000::1", "5f00::1", "64:ff9b:1::8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8"),
]
PUBLIC_V6 = ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2400:cb00::1", "3000::1"]

v4 = st.integers(0, 2**32 - 1).map(IPv4Address)


@pytest.mark.parametrize("text", FORBIDDEN_V4 + FORBIDDEN_V6)
def test_address_that_is_not_global_unicast_is_refused(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_V4 + PUBLIC_V6)
def test_global_unicast_address_is_accepted(text: str) -> None:
    assert is_public(ip_address(text))


def _mapped(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(0xFFFF << 32 | int(inner))


def _six_to_four(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(0x2002 << 112 | int(inner) << 80 | 1)


def _nat64(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("64:ff9b::")) | int(inner))


def _isatap(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("2606:4700::5efe:0:0")) | int(inner))


def _isatap_global(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("2606:4700::200:5efe:0:0")) | int(inner))


CARRIERS = [_mapped, _six_to_four, _nat64, _isatap, _isatap_global]


@pytest.mark.parametrize("carry", CARRIERS)
@pytest.mark.parametrize("text", FORBIDDEN_V4)
def test_forbidden_ipv4_address_is_refused_inside_ipv6(carry, text: str) -> None:
    assert not is_public(carry(IPv4Address(text)))


@pytest.mark.parametrize("carry", CARRIERS)
def test_public_ipv4_address_is_accepted_inside_ipv6(carry) -> None:
    assert is_public(carry(IPv4Address("93.184.216.34")))


@given(inner=v4)
def test_carried_address_is_judged_like_itself(inner: IPv4Address) -> None:
    assert {is_public(carry(inner)) for carry in CARRIERS} == {is_public(inner)}


@given(server=v4, client=v4, middle=st.integers(0, 2**32 - 1))
def test_teredo_is_refused_whatever_it_carries(server: IPv4Address, client: IPv4Address, middle: int) -> None:
    obfuscated = int(client) ^ 0xFFFFFFFF
    assert not is_public(IPv6Address(0x20010000 << 96 | int(server) << 64 | middle << 32 | obfuscated))


@given(address=v4)
def test_nothing_that_python_calls_private_is_accepted(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.1", "0X7F.0x1", "0177.0.0.1", "127.1"),
        *("127.0.1", "017700000001", "127.0x0.00.01", "::ffff:127.0.0.1", "::ffff:7f00:1"),
    ],
)
def test_every_spelling_of_an_address_is_read(host: str) -> None:
    assert literal_address(host) == IPv4Address("127.0.0.1")


@pytest.mark.parametrize("host", ["example.com", "1.2.3.com", "xn--9ca.test", "localhost", "0x7f.example", "a.b1"])
def test_name_is_not_an_address(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "1.2.3.4.5",
        "256.0.0.1",
        "0400.0.0.1",
        "4294967296",
        "1.2.3.256",
        "a.1",
        "09.0.0.1",
        "1..1",
        "::g",
        "0xzz",
    ],
)
def test_host_that_must_be_an_address_and_is_none_is_an_error(host: str) -> None:
    with pytest.raises(ValueError):
        literal_address(host)


@given(address=v4)
def test_decimal_octal_and_hex_spell_the_same_address(address: IPv4Address) -> None:
    number = int(address)
    for spelling in (str(number), f"0{number:o}", f"{number:#x}", str(address)):
        assert literal_address(spelling) == address


@given(host=st.text(max_size=20))
def test_reading_any_host_gives_an_answer_or_a_value_error(host: str) -> None:
    try:
        found = literal_address(host)
    except ValueError:
        return
    assert found is None or literal_address(str(found)) == found


def test_allow_list_takes_hosts_addresses_and_networks_with_and_without_port() -> None:
    allow = parse_allow_list(
        "Pictures.Internal., minio:9000 ,10.1.0.0/16,192.168.1.5:9000,[fd00::1]:80,fd01::/16,::1,10.9.0.0/16:81,"
    )
    assert allow.permits_host("pictures.internal", 1)
    assert allow.permits_host("minio", 9000)
    assert not allow.permits_host("minio", 9001)
    assert not allow.permits_host("evil.pictures.internal", 1)
    for text, port, permitted in [
        ("10.1.2.3", 80, True),
        ("::ffff:10.1.2.3", 80, True),
        ("10.2.0.0", 80, False),
        ("192.168.1.5", 9000, True),
        ("192.168.1.5", 80, False),
        ("fd00::1", 80, True),
        ("fd00::1", 81, False),
        ("fd01::7", 443, True),
        ("::1", 8000, True),
        ("::2", 8000, False),
        ("10.9.1.1", 81, True),
        ("10.9.1.1", 80, False),
    ]:
        assert allow.permits_address(ip_address(text), port) is permitted, text


def test_empty_allow_list_permits_nothing() -> None:
    assert parse_allow_list(" , ") == AllowList()


def test_address_on_the_list_is_no_exception_for_a_host_name() -> None:
    assert not parse_allow_list("127.0.0.1").permits_host("localhost", 80)


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "*.example.com",
            "http://a.test",
            "a.test:0",
            "a.test:70000",
            "a.test:x",
            "10.0.0.0/33",
            "10.0.0.1/8",
        ),
        *("[::1", "[::1]x", "[a.test]:80", "1.2.3.4.5", "0x7f.1", "a b", "a..b", "::g", "ä.test", "a.test/8"),
    ],
)
def test_malformed_entry_is_quoted_in_the_error(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^'") as caught:
        parse_allow_list(f"fine.test, {entry}")
    assert repr(entry) in str(caught.value)
