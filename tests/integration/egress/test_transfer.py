"""Answers that are late, too big, cut short, compressed or no: each with its own error."""

import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.integration.egress.clients import PATIENCE, client, fetch
from tests.integration.egress.servers import Conversation, Handler, answer, drip, raw, stall
from tests.ports import closed_port

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.egress import (
    EncodedResponse,
    InvalidUrl,
    ResponseTooLarge,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    SourceUnreachable,
    TooManyRedirects,
)
from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.stream import DeadlineStream
from pixmill_shared.errors import PermanentError, TransientError

HEAD = b"HTTP/1.1 200 OK\r\n"


def test_download_streams_the_body_and_tells_type_and_final_url(serve) -> None:
    body = bytes(range(256)) * 4096
    server = serve(answer(200, body, Content_Type="image/png"))
    door = serve(answer(301, Location=server.url("/a b.png?x=%2F&y=é")))
    with client(allow="127.0.0.1").download(door.url(), max_bytes=len(body), deadline=PATIENCE) as download:
        chunks = list(download.chunks)
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= 65536
    assert (download.content_type, download.content_length) == ("image/png", len(body))
    assert download.url == server.url("/a%20b.png?x=%2F&y=%C3%A9")
    seen = server.seen[0]
    assert seen.target == "/a%20b.png?x=%2F&y=%C3%A9"
    assert (seen.header("accept-encoding"), seen.header("connection")) == ("identity", "close")


def test_ipv6_server_is_reached_and_named_with_brackets(serve) -> None:
    server = serve(answer(200, b"picture"), host="::1")
    assert fetch(client(allow="::1"), server.url(host="[::1]")) == b"picture"
    assert server.seen[0].header("host") == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(stall, id="silent"),
        pytest.param(drip(b""), id="status-drips"),
        pytest.param(drip(HEAD + b"X-Slow: "), id="headers-drip"),
        pytest.param(drip(HEAD + b"Content-Length: 100000\r\n\r\n"), id="body-drips"),
        pytest.param(drip(HEAD + b"\r\n"), id="endless-body-drips"),
    ],
)
def test_total_deadline_ends_a_server_that_never_finishes(handler: Handler, serve) -> None:
    server = serve(handler)
    with pytest.raises(SourceTimeout) as caught:
        fetch(client(allow="127.0.0.1"), server.url("/?token=s3cret"), deadline=0.6)
    assert isinstance(caught.value, TransientError)
    assert "s3cret" not in str(caught.value)


def test_each_read_and_write_gets_only_what_is_left_of_the_deadline() -> None:
    deadline = Deadline(PATIENCE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = DeadlineStream(ours, deadline, "pictures.test")
        theirs.send(b"xx")
        for use in (lambda: stream.read(1), lambda: stream.read(1), lambda: stream.write(b"x")):
            left = deadline.remaining()
            use()
            given = ours.gettimeout()
            assert given is not None
            assert deadline.remaining() <= given <= left < PATIENCE


def test_total_deadline_covers_all_redirects_together(serve) -> None:
    def slowly_elsewhere(conversation: Conversation) -> None:
        conversation.stopping.wait(0.25)
        answer(302, Location="/on")(conversation)

    server = serve(slowly_elsewhere)
    with pytest.raises(SourceTimeout) as caught:
        fetch(client(allow="127.0.0.1", max_redirects=100), server.url(), deadline=0.6)
    assert caught.value.code is ErrorCode.SOURCE_TIMEOUT
    assert server.accepts <= 3


def test_caller_who_reads_too_slowly_hits_the_deadline_too(serve) -> None:
    server = serve(answer(200, b"x" * 200_000))  # in more than one chunk, all of them there at once

    def read_slowly() -> None:
        with client(allow="127.0.0.1").download(server.url(), max_bytes=10**6, deadline=0.3) as download:
            next(download.chunks)
            time.sleep(0.35)
            list(download.chunks)

    with pytest.raises(SourceTimeout):
        read_slowly()


def test_upload_to_a_receiver_that_does_not_read_hits_the_deadline(serve) -> None:
    server = serve(stall, reads=False)
    with pytest.raises(SourceTimeout):
        client(allow="127.0.0.1").post(server.url(), b"x" * 30_000_000, {}, deadline=0.5)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(drip(HEAD + b"Content-Length: 60000000\r\n\r\n"), id="announced"),
        pytest.param(raw(HEAD + b"\r\n" + b"x" * 200_001), id="until-close"),
        pytest.param(
            raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"30d41\r\n" + b"x" * 200_001 + b"\r\n0\r\n\r\n"),
            id="chunked",
        ),
    ],
)
def test_body_over_the_limit_is_refused(handler: Handler, serve) -> None:
    server = serve(handler)
    with pytest.raises(ResponseTooLarge, match="200,000 bytes") as caught:
        fetch(client(allow="127.0.0.1"), server.url(), max_bytes=200_000)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert isinstance(caught.value, PermanentError)


def test_announced_size_is_judged_before_the_body_is_read(serve) -> None:
    server = serve(answer(200, b"x" * 11))
    offer = client(allow="127.0.0.1").download(server.url(), max_bytes=10, deadline=PATIENCE)
    with pytest.raises(ResponseTooLarge):
        offer.__enter__()


def test_body_of_exactly_the_limit_is_accepted(serve) -> None:
    assert fetch(client(allow="127.0.0.1"), serve(answer(200, b"x" * 10)).url(), max_bytes=10) == b"x" * 10


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip", "GZIP"])
def test_compressed_bomb_is_refused_and_never_unpacked(encoding: str, serve) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    with pytest.raises(EncodedResponse):
        fetch(client(allow="127.0.0.1"), serve(answer(200, bomb, Content_Encoding=encoding)).url())


def test_redirect_loop_is_counted(serve) -> None:
    server = serve(answer(302, Location="/?token=s3cret"))
    with pytest.raises(TooManyRedirects, match="5 redirects") as caught:
        fetch(client(allow="127.0.0.1"), server.url())
    assert server.accepts == 6
    assert isinstance(caught.value, PermanentError)
    assert "s3cret" not in caught.value.detail


def test_redirects_up_to_the_limit_are_followed(serve) -> None:
    def count_down(conversation: Conversation) -> None:
        left = int(conversation.target[1:])
        (answer(307, Location=f"/{left - 1}") if left else answer(200, b"picture"))(conversation)

    server = serve(count_down)
    assert fetch(client(allow="127.0.0.1", max_redirects=3), server.url("/3")) == b"picture"
    with pytest.raises(TooManyRedirects):
        fetch(client(allow="127.0.0.1", max_redirects=3), server.url("/4"))


def test_callers_headers_stay_at_their_origin_and_cannot_reframe(serve) -> None:
    there = serve(answer(200, b"picture"))
    door = serve(answer(302, Location=there.url()))
    headers = {"Authorization": "Bearer s3cret", "Host": "evil.test", "Content-Length": "9", "Accept-Encoding": "gzip"}
    assert fetch(client(allow="127.0.0.1"), door.url(), headers=headers) == b"picture"
    assert door.seen[0].header("authorization") == "Bearer s3cret"
    assert door.seen[0].header("host") == f"127.0.0.1:{door.port}"
    assert "Content-Length" not in door.seen[0].head
    assert "s3cret" not in there.seen[0].head


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 410, 451])
def test_refusal_that_will_not_change_is_permanent(status: int, serve) -> None:
    with pytest.raises(SourceNotFound, match=f"HTTP {status}") as caught:
        fetch(client(allow="127.0.0.1"), serve(answer(status, b"")).url())
    assert (caught.value.code, caught.value.status) == (ErrorCode.SOURCE_NOT_FOUND, status)
    assert isinstance(caught.value, PermanentError)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_refusal_that_may_pass_is_transient(status: int, serve) -> None:
    with pytest.raises(SourceUnavailable, match=f"HTTP {status}") as caught:
        fetch(client(allow="127.0.0.1"), serve(answer(status)).url())
    assert (caught.value.code, caught.value.retry_after) == (ErrorCode.SOURCE_UNREACHABLE, None)
    assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("17", 17, 17),
        pytest.param("in an hour", 3000, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("9" * 400, 86400, 86400),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str, low: float, high: float, serve) -> None:
    if header == "in an hour":  # from now on, not from when the tests were collected
        header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with pytest.raises(SourceUnavailable) as caught:
        fetch(client(allow="127.0.0.1"), serve(answer(429, Retry_After=header)).url())
    assert caught.value.retry_after is not None
    assert low <= caught.value.retry_after <= high


@pytest.mark.parametrize("header", ["soon", "-5", "1.5", "٣"])
def test_unreadable_retry_after_is_ignored(header: str, serve) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        fetch(client(allow="127.0.0.1"), serve(answer(503, Retry_After=header)).url())
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half-head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, id="only-informational"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\nhalf", id="short-of-content-length"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf", id="half-chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="not-http"),
        pytest.param(HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n", id="endless-head"),
    ],
)
def test_broken_answer_may_be_tried_again(data: bytes, serve) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        fetch(client(allow="127.0.0.1"), serve(raw(data)).url())
    assert isinstance(caught.value, TransientError)


def test_refused_connection_may_be_tried_again() -> None:
    with pytest.raises(SourceUnreachable, match="does not accept connections"):
        fetch(client(allow="127.0.0.1"), f"http://127.0.0.1:{closed_port()}/")


def test_error_in_the_callers_block_passes_through_and_closes_the_connection(serve) -> None:
    server = serve(answer(200, b"picture"))
    with pytest.raises(KeyError), client(allow="127.0.0.1").download(server.url(), max_bytes=9, deadline=PATIENCE):
        raise KeyError
    assert server.accepts == 1


def test_one_client_serves_many_threads_at_once(serve) -> None:
    together = threading.Barrier(8, timeout=60)

    def echo(conversation: Conversation) -> None:
        together.wait()
        answer(200, conversation.target.encode())(conversation)

    server, egress = serve(echo), client(allow="127.0.0.1")
    paths = [f"/{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda path: fetch(egress, server.url(path)), paths))
    assert bodies == [path.encode() for path in paths]


def test_post_sends_the_body_and_tells_status_excerpt_and_duration(serve) -> None:
    server = serve(answer(202, b"thanks" + b"x" * 100, Retry_After="3"))
    started = time.monotonic()
    result = client(allow="127.0.0.1").post(
        server.url("/hook"), b'{"a": 1}', {"webhook-id": "msg_1"}, deadline=PATIENCE, excerpt_bytes=8
    )
    took = time.monotonic() - started
    assert (result.status, result.excerpt, result.retry_after) == (202, "thanksxx", 3)
    assert 0 <= result.duration_ms <= took * 1000 + 1
    seen = server.seen[0]
    assert seen.head.startswith("POST /hook HTTP/1.1")
    assert (seen.body, seen.header("webhook-id"), seen.header("content-length")) == (b'{"a": 1}', "msg_1", "8")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_post_follows_no_redirect(status: int, serve) -> None:
    elsewhere = serve(answer(200))
    door = serve(answer(status, Location=elsewhere.url()))
    assert client(allow="127.0.0.1").post(door.url(), b"{}", {}, deadline=PATIENCE).status == status
    assert elsewhere.accepts == 0


def test_post_counts_as_answered_once_the_status_is_there(serve) -> None:
    server = serve(drip(HEAD + b"Content-Length: 1000\r\n\r\nok\0"))
    egress = client(allow="127.0.0.1")
    try:
        result = egress.post(server.url(), b"{}", {}, deadline=0.5)
    except SourceTimeout:  # before the status was there: the machine stood still
        result = egress.post(server.url(), b"{}", {}, deadline=15)
    assert result.status == 200
    assert result.excerpt.startswith("ok\ufffd")
    assert len(result.excerpt) < 600  # of what comes for half a minute


def test_post_without_an_answer_hits_the_deadline(serve) -> None:
    with pytest.raises(SourceTimeout):
        client(allow="127.0.0.1").post(serve(stall).url(), b"{}", {}, deadline=0.4)


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"X-É": "b"}])
def test_header_that_is_not_http_is_refused(headers: dict[str, str], serve) -> None:
    server = serve(answer(200))
    with pytest.raises(InvalidUrl):
        client(allow="127.0.0.1").post(server.url(), b"{}", headers, deadline=PATIENCE)
    assert server.seen == []
