"""What may not be reached is not reached: no accept is counted and no connect is tried."""

import socket
import threading

import pytest
from tests.integration.egress.clients import PATIENCE, Names, client, fetch
from tests.integration.egress.servers import answer

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.egress import (
    EgressClient,
    ForbiddenAddress,
    InsecureRedirect,
    InvalidUrl,
    SourceTimeout,
    SourceUnreachable,
)
from pixmill_shared.settings.egress import EgressSettings

HAS_IPV6 = socket.has_ipv6

FORBIDDEN_HOSTS = [
    *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001"),
    *("0", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    *("[::ffff:10.0.0.1]", "10.0.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "2852039166"),
    *("[fd00:ec2::254]", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[2001:0:7f00:1::]"),
    *("[64:ff9b:1::7f00:1]", "①②⑦.⓪.⓪.①", "１２７。０。０。１", "127\uff0e0\uff0e0\uff0e1"),
    *("private.test", "PRIVATE.TEST.", "mixed.test", "mixed6.test", "loopback.test", "zero.test", "metadata.test"),
]


def names() -> Names:
    return Names(
        private_test=[["10.0.0.1"]],
        mixed_test=[["93.184.216.34", "10.0.0.1"]],
        mixed6_test=[["2606:4700::1", "::ffff:127.0.0.1"]],
        loopback_test=[["127.0.0.1"]],
        zero_test=[["0.0.0.0"]],
        metadata_test=[["169.254.169.254"]],
    )


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_forbidden_address_is_refused_before_a_socket_is_opened(host: str, serve, connects: list[str]) -> None:
    listeners = [serve(answer(200, b"secret"))]
    if HAS_IPV6:
        listeners.append(serve(answer(200, b"secret"), host="::1"))
    for listener in listeners:
        with pytest.raises(ForbiddenAddress) as caught:
            fetch(client(names()), f"http://{host}:{listener.port}/?token=s3cret")
        assert caught.value.code is ErrorCode.FORBIDDEN_ADDRESS
        assert "s3cret" not in caught.value.detail
    assert [listener.accepts for listener in listeners] == [0] * len(listeners)
    assert connects == []


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_redirect_to_a_forbidden_address_is_refused(host: str, serve, connects: list[str]) -> None:
    victim = serve(answer(200, b"secret"))
    location = f"http://{host}:{victim.port}/"
    door = serve(lambda c: c.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()))
    with pytest.raises(ForbiddenAddress):
        fetch(client(names(), allow=f"127.0.0.1:{door.port}"), door.url())
    assert (door.accepts, victim.accepts) == (1, 0)
    assert connects == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "private.test", "[::ffff:10.0.0.1]"])
def test_webhook_to_a_forbidden_address_is_refused(host: str, serve, connects: list[str]) -> None:
    listener = serve(answer(200))
    with pytest.raises(ForbiddenAddress):
        client(names()).post(f"http://{host}:{listener.port}/", b"{}", {}, deadline=PATIENCE)
    assert listener.accepts == 0
    assert connects == []


def test_name_is_resolved_by_the_system_when_no_resolver_is_given(serve, connects: list[str]) -> None:
    listener = serve(answer(200))
    with pytest.raises(ForbiddenAddress):
        fetch(EgressClient(EgressSettings()), f"http://localhost:{listener.port}/")
    assert listener.accepts == 0
    assert connects == []


def test_rebinding_name_is_resolved_once_and_the_connection_is_pinned(serve, connects: list[str]) -> None:
    server = serve(answer(200, b"picture"))
    rebinding = Names(rebind_test=[["127.0.0.1"], ["10.0.0.1"]])
    url = server.url("/a", host="rebind.test")
    assert fetch(client(rebinding, allow="127.0.0.0/8"), url) == b"picture"
    assert rebinding.asked == ["rebind.test"]
    assert connects == ["127.0.0.1"]
    assert server.seen[0].header("host") == f"rebind.test:{server.port}"


def test_name_that_rebinds_between_two_hops_is_refused_at_the_second(serve, connects: list[str]) -> None:
    server = serve(answer(302, Location="/again"))
    rebinding = Names(rebind_test=[["127.0.0.1"], ["10.0.0.1"]])
    with pytest.raises(ForbiddenAddress):
        fetch(client(rebinding, allow="127.0.0.0/8"), server.url("/", host="rebind.test"))
    assert rebinding.asked == ["rebind.test", "rebind.test"]
    assert connects == ["127.0.0.1"]
    assert server.accepts == 1


def test_exception_for_a_host_holds_for_that_name_and_port_only(serve) -> None:
    server = serve(answer(200, b"picture"))
    resolver = Names(minio_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])
    allowed = client(resolver, allow=f"minio.test:{server.port}")
    assert fetch(allowed, server.url(host="MINIO.test.")) == b"picture"
    for url in (server.url(host="other.test"), server.url(), "http://minio.test:1/"):
        with pytest.raises(ForbiddenAddress):
            fetch(allowed, url)
    assert server.accepts == 1


def test_second_address_is_tried_when_the_first_refuses(serve, connects: list[str]) -> None:
    server = serve(answer(200, b"picture"))
    resolver = Names(two_test=[["127.0.0.9", "127.0.0.1"]])
    assert fetch(client(resolver, allow="127.0.0.0/8"), server.url(host="two.test")) == b"picture"
    assert connects == ["127.0.0.9", "127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://a.test/", "gopher://a.test/", "//a.test/", "a.test", "", "http://", "http:///x"),
        *(
            "http://user:s3cret@a.test/",
            "http://user@a.test/",
            "http://a.test:0/",
            "http://a.test:99999/",
            "http://[::1/",
        ),
        *(
            "http://127.0.0.%31/",
            "http://a.test\\@127.0.0.1/",
            "http://a.test\r\nX: y/",
            "http://a..test/",
            "http://[a]/",
        ),
        *("http://1.2.3.4.5/", "http://256.1.1.1/", "http://a_\u00ad.test/", "http://\u2100.test/", "http://a b.test/"),
        *(f"http://{'a' * 64}.test/", f"http://a.test/{'x' * 9000}", "http://127.0.0.1\t/", "http://a.test:80:80/"),
    ],
)
def test_url_that_is_not_plain_http_is_refused(url: str, connects: list[str]) -> None:
    resolver = Names(a_test=[["127.0.0.1"]])
    with pytest.raises(InvalidUrl) as caught:
        fetch(client(resolver, allow="127.0.0.0/8,a.test"), url)
    assert caught.value.code is ErrorCode.FORBIDDEN_ADDRESS
    assert "s3cret" not in caught.value.detail
    assert connects == []
    assert resolver.asked == []


def test_redirect_from_https_to_http_is_not_followed(serve, authority) -> None:
    plain = serve(answer(200, b"picture"))
    door = serve(answer(302, Location=plain.url()), tls=authority.server_context("127.0.0.1"))
    with pytest.raises(InsecureRedirect):
        fetch(client(allow="127.0.0.1", ca_file=str(authority.ca_file)), door.url())
    assert (door.accepts, plain.accepts) == (1, 0)


def test_unknown_name_may_be_tried_again() -> None:
    with pytest.raises(SourceUnreachable, match=r"nowhere\.test cannot be resolved") as caught:
        fetch(client(Names()), "http://nowhere.test/")
    assert caught.value.code is ErrorCode.SOURCE_UNREACHABLE


def test_slow_resolver_is_left_at_the_deadline() -> None:
    release = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        release.wait(30)
        return ["127.0.0.1"]

    with pytest.raises(SourceTimeout):
        fetch(client(slow), "http://slow.test/", deadline=0.3)
    release.set()
