"""The command's client of the HTTP API."""

from tests.integration.egress.servers import Conversation, Server, answer

from pixmill.client import Client


def test_no_request_meets_a_connection_that_the_api_is_about_to_end() -> None:
    """One that rests, as between two looks at a job, is ended after some seconds: just as it is used again, perhaps."""

    def once(conversation: Conversation) -> None:
        answer(200, b"{}")(conversation)
        conversation.sock.recv(1)

    server = Server(once)
    try:
        with Client(server.url()) as client:
            assert [client.job("a"), client.job("b")] == [{}, {}]
    finally:
        server.stop()
    assert len(server.seen) == 2
