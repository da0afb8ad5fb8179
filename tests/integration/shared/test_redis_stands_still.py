"""Redis stands still for longer than a socket waits, and goes on: so does a worker that could not acknowledge then."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kombu import Connection, Consumer, Queue
from redis import ConnectionPool
from redis.exceptions import TimeoutError as NoAnswer
from tests.integration.shared.processes import frozen
from tests.servers import Servers

from pixmill_shared.plumbing.redis_guard import GuardedTransport

QUEUE = Queue("stands-still")
#: Seconds.
LONG = 60.0


@contextmanager
def impatient(pool: ConnectionPool) -> Iterator[None]:
    """Around the block its connections wait half a second for an answer; else as long as a busy machine may take."""
    connections = [*pool._available_connections]
    assert connections, "those that take messages have answered"
    for each in connections:
        # Connected with patience, as before and after.
        each.connect()
        each.socket_timeout = each.socket_connect_timeout = 0.5
        each._sock.settimeout(0.5)
        # After each look whether something has come, the socket's own is set by it.
        each._parser._buffer.socket_timeout = 0.5
    try:
        yield
    finally:
        for each in connections:
            each.disconnect()
            each.socket_timeout = each.socket_connect_timeout = LONG


@pytest.mark.parametrize("answer", ["ack", "reject"])
def test_message_that_could_not_be_answered_takes_no_place(servers: Servers, redis_url: str, answer: str) -> None:
    taken = []
    options = {"socket_timeout": LONG, "socket_connect_timeout": LONG}
    with Connection(redis_url, transport=GuardedTransport, transport_options=options) as connection:
        channel = connection.channel()
        QUEUE(channel).declare()
        # As many as the worker may hold, and one.
        for number in range(3):
            connection.Producer(channel).publish({"number": number}, routing_key=QUEUE.name, serializer="json")
        consumer = Consumer(channel, [QUEUE], on_message=taken.append, prefetch_count=2)
        with consumer:
            while len(taken) < 2:
                connection.drain_events(timeout=LONG)
            with impatient(channel.pool), frozen(servers.stack.pids()["redis"]):
                for message in list(taken):
                    with pytest.raises(NoAnswer):
                        getattr(message, answer)()
            connection.drain_events(timeout=LONG)
    assert [message.payload["number"] for message in taken] == [0, 1, 2]
