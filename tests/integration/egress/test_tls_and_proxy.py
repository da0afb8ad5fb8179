"""TLS keeps the name while the connection is pinned to an address; a proxy gets the checked address."""

import ssl

import pytest
from tests.integration.egress.clients import Names, client, fetch
from tests.integration.egress.servers import answer, drip, proxy, stall

from pixmill_shared.egress import ForbiddenAddress, SourceTimeout, SourceUnreachable
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.egress import EgressSettings


def named(context: ssl.SSLContext, asked: list[str | None]) -> ssl.SSLContext:
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    return context


def test_sni_host_and_certificate_keep_the_name_when_pinned(serve, authority, connects: list[str]) -> None:
    asked: list[str | None] = []
    server = serve(answer(200, b"picture"), tls=named(authority.server_context("pictures.test"), asked))
    egress = client(Names(pictures_test=[["127.0.0.1"]]), allow="127.0.0.1", ca_file=str(authority.ca_file))
    assert fetch(egress, server.url(host="pictures.test.")) == b"picture"
    assert asked == ["pictures.test"]
    assert server.seen[0].header("host") == f"pictures.test:{server.port}"
    assert connects == ["127.0.0.1"]


def test_certificate_of_an_address_is_verified_for_the_address(serve, authority) -> None:
    server = serve(answer(200, b"picture"), tls=authority.server_context("127.0.0.1"))
    assert fetch(client(allow="127.0.0.1", ca_file=str(authority.ca_file)), server.url()) == b"picture"


def test_certificate_for_another_name_is_refused(serve, authority) -> None:
    server = serve(answer(200, b"picture"), tls=authority.server_context("other.test"))
    egress = client(Names(pictures_test=[["127.0.0.1"]]), allow="127.0.0.1", ca_file=str(authority.ca_file))
    with pytest.raises(SourceUnreachable, match="certificate is not trusted"):
        fetch(egress, server.url(host="pictures.test"))
    assert server.seen == []


def test_certificate_of_an_unknown_authority_is_refused(serve, authority) -> None:
    server = serve(answer(200, b"picture"), tls=authority.server_context("127.0.0.1"))
    with pytest.raises(SourceUnreachable, match="certificate is not trusted"):
        fetch(client(allow="127.0.0.1"), server.url())
    assert server.seen == []


def test_server_that_speaks_no_tls_is_unreachable(serve) -> None:
    server = serve(drip(b"220 mail.test ESMTP\r\n"), reads=False)
    with pytest.raises(SourceUnreachable, match="TLS handshake failed"):
        fetch(client(allow="127.0.0.1"), f"https://127.0.0.1:{server.port}/")


def test_deadline_ends_a_dripping_body_over_tls(serve, authority) -> None:
    server = serve(drip(b"HTTP/1.1 200 OK\r\n\r\n"), tls=authority.server_context("127.0.0.1"))
    with pytest.raises(SourceTimeout):
        fetch(client(allow="127.0.0.1", ca_file=str(authority.ca_file)), server.url(), deadline=0.6)


def test_deadline_ends_a_stalled_handshake(serve) -> None:
    server = serve(stall, reads=False)
    with pytest.raises(SourceTimeout):
        fetch(client(allow="127.0.0.1"), f"https://127.0.0.1:{server.port}/", deadline=0.4)


def test_deadline_ends_a_handshake_that_drips_inside_one_record(serve) -> None:
    server = serve(drip(b"\x16\x03\x03\x40\x00"), reads=False)  # a record of 16 KiB begins
    with pytest.raises(SourceTimeout):
        fetch(client(allow="127.0.0.1"), f"https://127.0.0.1:{server.port}/", deadline=0.6)


def test_https_through_a_proxy_connects_to_the_checked_address_and_keeps_the_name(serve, authority) -> None:
    asked: list[str | None] = []
    server = serve(answer(200, b"picture"), tls=named(authority.server_context("pictures.test"), asked))
    middle = serve(proxy({}))
    resolver = Names(pictures_test=[["127.0.0.1"], ["10.0.0.1"]])
    egress = client(
        resolver,
        allow=f"127.0.0.1:{server.port}",
        ca_file=str(authority.ca_file),
        proxy=f"http://us%40er:pass@127.0.0.1:{middle.port}",
    )
    assert fetch(egress, server.url(host="pictures.test")) == b"picture"
    assert middle.seen[0].head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1")
    assert middle.seen[0].header("proxy-authorization") == "Basic dXNAZXI6cGFzcw=="
    assert asked == ["pictures.test"]
    assert server.seen[0].header("host") == f"pictures.test:{server.port}"
    assert server.seen[0].header("proxy-authorization") is None
    assert resolver.asked == ["pictures.test"]


def test_https_through_a_proxy_writes_an_ipv6_address_in_brackets(serve, authority) -> None:
    server = serve(answer(200, b"picture"), host="::1", tls=authority.server_context("pictures.test"))
    middle = serve(proxy({}))
    egress = client(
        Names(pictures_test=[["::1"]]),
        allow="::1",
        ca_file=str(authority.ca_file),
        proxy=f"http://127.0.0.1:{middle.port}",
    )
    assert fetch(egress, server.url(host="pictures.test")) == b"picture"
    assert middle.seen[0].target == f"[::1]:{server.port}"


def test_http_through_a_proxy_sends_the_whole_url(serve) -> None:
    server = serve(answer(200, b"picture"))
    middle = serve(proxy({"pictures.test": ("127.0.0.1", server.port)}))
    egress = client(Names(pictures_test=[["127.0.0.1"]]), allow="127.0.0.1", proxy=f"http://127.0.0.1:{middle.port}")
    assert fetch(egress, server.url("/a?b=c", host="pictures.test")) == b"picture"
    assert middle.seen[0].target == server.url("/a?b=c", host="pictures.test")
    assert server.seen[0].target == "/a?b=c"


@pytest.mark.parametrize("host", ["127.0.0.1", "private.test", "mixed.test", "2130706433", "[::ffff:10.0.0.1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_target_behind_a_proxy_is_checked_all_the_same(scheme: str, host: str, serve, connects: list[str]) -> None:
    middle = serve(proxy({}))
    resolver = Names(private_test=[["10.0.0.1"]], mixed_test=[["93.184.216.34", "10.0.0.1"]])
    with pytest.raises(ForbiddenAddress):
        fetch(client(resolver, proxy=f"http://127.0.0.1:{middle.port}"), f"{scheme}://{host}:{middle.port}/")
    assert middle.accepts == 0
    assert connects == []


def test_redirect_behind_a_proxy_is_checked(serve) -> None:
    server = serve(answer(302, Location="http://10.0.0.1/"))
    middle = serve(proxy({}))
    egress = client(allow=f"127.0.0.1:{server.port}", proxy=f"http://127.0.0.1:{middle.port}")
    with pytest.raises(ForbiddenAddress):
        fetch(egress, server.url())
    assert middle.accepts == 1


def test_allowed_host_that_only_the_proxy_can_resolve_is_left_to_it(serve, authority) -> None:
    server = serve(answer(200, b"picture"), tls=authority.server_context("pictures.test"))
    middle = serve(proxy({"pictures.test": ("127.0.0.1", server.port)}))
    resolver = Names()
    egress = client(
        resolver,
        allow="pictures.test",
        ca_file=str(authority.ca_file),
        proxy=f"http://127.0.0.1:{middle.port}",
    )
    assert fetch(egress, server.url(host="pictures.test")) == b"picture"
    assert middle.seen[0].target == f"pictures.test:{server.port}"
    assert resolver.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_login_is_a_transient_failure(scheme: str, serve) -> None:
    middle = serve(answer(407))
    egress = client(allow="pictures.test", proxy=f"http://127.0.0.1:{middle.port}")
    with pytest.raises(SourceUnreachable, match="proxy"):
        fetch(egress, f"{scheme}://pictures.test/")


def test_proxy_that_stalls_hits_the_deadline(serve) -> None:
    middle = serve(stall)
    egress = client(allow="pictures.test", proxy=f"http://127.0.0.1:{middle.port}")
    with pytest.raises(SourceTimeout):
        fetch(egress, "https://pictures.test/", deadline=0.4)


def test_environments_proxy_is_not_used(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, middle = serve(answer(200, b"picture")), serve(proxy({}))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{middle.port}")
    assert fetch(client(allow="127.0.0.1"), server.url()) == b"picture"
    assert middle.accepts == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PIXMILL_EGRESS_ALLOW", "*.internal"),
        ("PIXMILL_EGRESS_PROXY", "https://proxy.test:3128"),
        ("PIXMILL_EGRESS_PROXY", "proxy.test:3128"),
        ("PIXMILL_EGRESS_PROXY", "http://user:s3cret@proxy.test:99999"),
        ("PIXMILL_EGRESS_CA_FILE", "/nowhere/ca.pem"),
        ("PIXMILL_FETCH_TIMEOUT", "0"),
    ],
)
def test_wrong_setting_stops_the_process_and_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable) as caught:
        EgressSettings.load()
    assert "s3cret" not in str(caught.value)
