"""Servers that stand in for others count no request that ends early: a worker that is killed meanwhile asked nothing.

Tests that kill workers count what these servers were asked.
"""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.neighbours import Neighbour
from tests.gemini import running_gemini
from tests.integration.egress.servers import Server, answer

BODY = json.dumps({"contents": [{"parts": [{"text": "Ramen"}]}]}).encode()
REQUEST = b"POST /hook HTTP/1.1\r\nHost: there\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
HEAD = len(REQUEST) - len(BODY)

#: The port of a server, and how many requests it counts.
StandIn = tuple[int, Callable[[], int]]


@pytest.fixture(params=["gemini", "receiver", "neighbour"])
def stand_in(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    if request.param == "gemini":
        with running_gemini() as gemini:
            yield int(gemini.url.rpartition(":")[2]), lambda: len(gemini.asked())
    elif request.param == "receiver":
        server = Server(answer(204))
        yield server.port, lambda: len(server.seen)
        server.stop()
    else:
        with Neighbour() as neighbour:
            yield neighbour.port, lambda: len(neighbour.webhooks)


def ask(port: int, sent: bytes) -> bytes:
    """Send so much and no more, and return everything that comes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("length", [HEAD - 4, HEAD, HEAD + 1, len(REQUEST) - 1])
def test_request_that_ends_early_is_none(stand_in: StandIn, length: int) -> None:
    port, requests = stand_in
    assert ask(port, REQUEST[:length]) == b""
    assert requests() == 0
    assert ask(port, REQUEST).startswith(b"HTTP/1.")
    assert requests() == 1
