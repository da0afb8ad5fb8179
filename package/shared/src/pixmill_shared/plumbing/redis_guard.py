"""kombu's Redis transport, and an item of a list that is no message does not end the process that took it.

kombu parses what it popped as it comes: an item that is not JSON, lacks a field or has bad base64 in it raises out of
the worker's event loop, and the next worker takes the next one.

Nor does a Redis that stands still for a while leave a worker idle for good, or one that dies end it.
"""

from typing import Any, Final

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import ConnectionError

from pixmill_shared.domain.refusals import LARGEST_ITEM, Refusal, envelope_fault, excerpt
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.letterbox import POISON, letterbox, to_json

log = get_logger(__name__)

MOST_KEPT: Final = 10_000
"""Items of the poison list; beyond it the oldest go."""


class GuardedQoS(QoS):
    """A message that could not be acknowledged takes no place among those that a worker may hold.

    kombu would keep it there, and Celery swallows the error. Where the connection lives on, because Redis only stood
    still for longer than the time-out of a socket, nothing else takes it away: as many of them as the worker may hold,
    and it never asks for a message again. Redis brings this one back after the visibility timeout; its row is not to be
    had then.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise


class GuardedChannel(Channel):
    """Lets messages through and sets the rest aside, on the list POISON, from which workers record it."""

    QoS = GuardedQoS
    _client_of_pool: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # the one that pops
            client = super()._create_client(asynchronous)  # type: ignore[misc]
            client.set_response_callback("BRPOP", self._only_messages)
            return client
        # kombu makes one for each command, which costs more than the command. After a fork the pool is another one.
        if self._client_of_pool is None or self._client_of_pool.connection_pool is not self.pool:
            self._client_of_pool = super()._create_client()  # type: ignore[misc]
        return self._client_of_pool

    def _connparams(self, asynchronous: bool = False) -> Any:
        """kombu gives a lost connection up, and then closes what is left of its channels, which ask for it to hand
        back what they hold. Celery is prepared for a lost connection there, and dies of anything else.
        """
        if self.connection.client is None:
            raise ConnectionError("The connection to Redis was given up.")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]

    def _only_messages(self, reply: Any, **_: Any) -> Any:
        """None, as if nothing had come, for what is no message."""
        if not reply:
            return None
        queue, item = reply
        fault = self._fault(item)
        if fault is None:
            return queue, item
        self._set_aside(bytes_to_str(queue), item, fault)
        return None

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        fault = self._fault_of_parsed(message)
        if fault is None:
            return super()._deliver_fanout_message(message, exchange)  # type: ignore[misc]
        log.error("broadcast dropped", exchange=exchange, fault=fault)
        return True

    def _fault(self, item: bytes) -> str | None:
        if len(item) > LARGEST_ITEM:
            return f"has more than {LARGEST_ITEM} bytes"
        try:
            return self._fault_of_parsed(loads(bytes_to_str(item)))
        # What is nested too deep is a RecursionError; kombu makes objects of some dicts, which fail as they like.
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            return f"is not JSON: {error}"

    def _fault_of_parsed(self, item: Any) -> str | None:
        fault = envelope_fault(item)
        if fault is None:
            try:
                self.decode_body(item.get("body") or "", item["properties"].get("body_encoding"))
            except ValueError as error:
                return f"has a body that is not base64: {error}"
        return fault

    def _set_aside(self, queue: str, item: bytes, fault: str) -> None:
        payload = {"queue": queue, **excerpt(item)}
        letter = letterbox.letter("unknown", Refusal.MALFORMED_ITEM, f"The item {fault}.", payload)
        if letter is None:
            return
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(POISON, to_json(letter)).ltrim(POISON, 0, MOST_KEPT - 1).execute()
        letterbox.ring()


class GuardedTransport(Transport):
    """Of ``redis://`` and ``rediss://``: ``config.py`` registers it."""

    Channel = GuardedChannel
