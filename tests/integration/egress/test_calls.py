"""Calls to APIs: the whole answer, whatever its status, within bytes and seconds."""

import gzip

import pytest
from tests.integration.egress.clients import PATIENCE, client
from tests.integration.egress.servers import Handler, Server, answer, drip, raw, stall

from pixmill_shared.egress import (
    AnswerBroken,
    AnswerTimeout,
    CallResult,
    EncodedResponse,
    ForbiddenAddress,
    ResponseTooLarge,
    SourceTimeout,
)

HEAD = b"HTTP/1.1 200 OK\r\n"


def call(server: Server, max_bytes: int = 1_000_000, deadline: float = PATIENCE) -> CallResult:
    return client(allow="127.0.0.1").call(
        server.url("/v1?x=1"), b'{"a": 1}', {"x-api-key": "s3cret"}, max_bytes=max_bytes, deadline=deadline
    )


def test_call_sends_the_body_and_gives_all_of_the_answer(serve) -> None:
    server = serve(answer(200, b"x" * 300_000))
    result = call(server)
    assert (result.status, result.body, result.retry_after) == (200, b"x" * 300_000, None)
    seen = server.seen[0]
    assert seen.head.startswith("POST /v1?x=1 HTTP/1.1")
    assert (seen.body, seen.header("x-api-key"), seen.header("content-length")) == (b'{"a": 1}', "s3cret", "8")


@pytest.mark.parametrize("status", [302, 400, 403, 429, 500])
def test_every_status_of_a_call_is_a_result_and_no_redirect_is_followed(status: int, serve) -> None:
    elsewhere = serve(answer(200))
    server = serve(answer(status, b"why", Retry_After="3", Location=elsewhere.url()))
    result = call(server)
    assert (result.status, result.body, result.retry_after) == (status, b"why", 3)
    assert elsewhere.accepts == 0


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(drip(HEAD + b"Content-Length: 60000000\r\n\r\n"), id="announced"),
        pytest.param(raw(HEAD + b"\r\n" + b"x" * 200_001), id="until-close"),
    ],
)
def test_answer_to_a_call_over_the_limit_is_refused(handler: Handler, serve) -> None:
    with pytest.raises(ResponseTooLarge, match="200,000 bytes"):
        call(serve(handler), max_bytes=200_000)


@pytest.mark.parametrize(
    "handler",
    [pytest.param(stall, id="silent"), pytest.param(drip(HEAD + b"Content-Length: 100000\r\n\r\n"), id="body-drips")],
)
def test_call_that_is_never_finished_hits_the_deadline(handler: Handler, serve) -> None:
    server = serve(handler)
    try:
        call(server, deadline=0.5)
    except AnswerTimeout:
        return
    except SourceTimeout:
        pass  # the machine stood still until there was no time left to connect
    with pytest.raises(AnswerTimeout):
        call(server, deadline=15)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\nhalf", id="short-of-content-length"),
    ],
)
def test_broken_answer_to_a_call_may_be_tried_again(data: bytes, serve) -> None:
    with pytest.raises(AnswerBroken):
        call(serve(raw(data)))


def test_compressed_answer_to_a_call_is_never_unpacked(serve) -> None:
    with pytest.raises(EncodedResponse):
        call(serve(answer(200, gzip.compress(b"{}"), Content_Encoding="gzip")))


@pytest.mark.parametrize(
    "sent",
    [
        answer(503, gzip.compress(b"{}"), Content_Encoding="gzip", Retry_After="7"),
        answer(503, b"x" * 500, Retry_After="7"),
    ],
    ids=["compressed", "too-large"],
)
def test_status_of_an_error_is_told_though_its_body_cannot_be_had(sent, serve) -> None:
    result = call(serve(sent), max_bytes=100)
    assert (result.status, result.body, result.retry_after) == (503, b"", 7)


def test_call_to_a_forbidden_address_opens_no_connection(serve) -> None:
    server = serve(answer(200))
    with pytest.raises(ForbiddenAddress):
        client().call(server.url(), b"{}", {}, max_bytes=9, deadline=PATIENCE)
    assert server.accepts == 0
