"""Percentages over Redis, and a Redis that is away, stands still or is none."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from tests.ports import closed_port, free_port
from tests.waiting import eventually

from pixmill_shared.contract.progress import PROGRESS_CHANNEL
from pixmill_shared.progress.publisher import MOST_WAITING, Publisher


@contextmanager
def subscribed(url: str) -> Iterator[list[str]]:
    """What was published so far; the list fills while somebody looks."""
    client = redis.Redis.from_url(url, decode_responses=True)
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(PROGRESS_CHANNEL)
    assert subscription.get_message(timeout=60) is None
    heard: list[str] = []

    class Heard(list[str]):
        def __contains__(self, message: object) -> bool:
            while found := subscription.get_message(timeout=0.05):
                heard.append(found["data"])
            return message in heard

    try:
        yield Heard()
    finally:
        subscription.close()
        client.close()


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never answers. Its port is nobody's afterwards: who publishes goes on asking."""
    with socket.create_server(("127.0.0.1", free_port()), backlog=100) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def costs_no_time(url: str, seconds: float) -> bool:
    """Of three publishers one is enough, as who waits for Redis does so each time: this process may stand still."""
    return any(slowest(Publisher(url), seconds) < 0.5 for _ in range(3))


def slowest(publisher: Publisher, seconds: float) -> float:
    """Seconds that the slowest of many calls took."""
    worst, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        publisher.publish("job", "message")
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.01)
    return worst


def test_messages_arrive(redis_url: str) -> None:
    publisher = Publisher(redis_url)

    def both_came() -> bool:
        # Once more each time: where the machine stands still, what is published is lost.
        publisher.publish("a", "first")
        publisher.publish("b", "second")
        return "first" in heard and "second" in heard

    with subscribed(redis_url) as heard:
        eventually(both_came, within=60)


def test_publishing_goes_on_after_redis_closed_the_connection(redis_url: str) -> None:
    publisher = Publisher(redis_url)
    with subscribed(redis_url) as heard, redis.Redis.from_url(redis_url) as client:

        def comes(before: str, after: str) -> bool:
            eventually(lambda: publisher.publish("a", before) or before in heard, within=60)
            client.client_kill_filter(_type="normal", skipme=True)
            publisher.publish("a", after)
            until = time.monotonic() + 5
            eventually(lambda: after in heard or time.monotonic() > until, within=60)
            return after in heard

        # Of some times once is enough: who does not connect anew at once loses it each time, and a machine that stands
        # still loses one now and then.
        assert any(comes(f"before {n}", f"after {n}") for n in range(5))


def test_redis_that_is_away_costs_a_job_no_time_and_raises_nothing() -> None:
    assert costs_no_time(f"redis://127.0.0.1:{closed_port()}/0", seconds=2)


def test_redis_that_never_answers_costs_a_job_no_time_and_raises_nothing() -> None:
    with silent_server() as url:
        assert costs_no_time(url, seconds=3)


def test_url_that_is_none_costs_a_job_nothing() -> None:
    assert costs_no_time("redis://host:port/x", seconds=0.5)


def test_what_waits_for_a_redis_that_hangs_is_bounded() -> None:
    with silent_server() as url:
        publisher = Publisher(url)
        for number in range(5 * MOST_WAITING):
            publisher.publish(str(number), "message")
        assert len(publisher._waiting) <= MOST_WAITING
