"""Requests that a key may send, counted in a real Redis, and what happens without one."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.shared.processes import Gate
from tests.ports import closed_port
from tests.servers import Servers
from tests.waiting import eventually

from pixmill_api.limits.limiter import BREAK

Down = tuple[str, list[socket.socket]]
"""The address of a Redis that does not answer, and who asked it."""

PATH = "/api/v1/jobs"
NUMBERS = itertools.count()
LIMITED = {"PIXMILL_AUTH": "on", "PIXMILL_RATE_LIMIT": "600", "PIXMILL_RATE_BURST": "5"}
PATIENT = {**LIMITED, "PIXMILL_RATE_LIMIT_PATIENCE": "10"}
"""Where Redis answers, however busy the machine is."""


@pytest.fixture(scope="module")
def limited(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Ten requests a second, five at once."""
    place = tmp_path_factory.mktemp("rates") / "objects"
    with running_api(postgres_url, place, **PATIENT, PIXMILL_REDIS_URL=servers.redis_url) as running:
        yield running


def key_of(api: Api, rate_limit: int | None = None) -> dict[str, str]:
    return bearing(made_key(api, f"rates-{next(NUMBERS)}", rate_limit=rate_limit))


def test_answers_tell_of_the_limit_and_what_is_left(limited: Api) -> None:
    headers = key_of(limited, 5)  # one in twelve seconds: none comes back meanwhile
    answers = [limited.client.get(PATH, headers=headers) for _ in range(3)]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == ['"key";q=5;w=60'] * 3
    assert [answer.headers["RateLimit"].split(";")[:2] for answer in answers] == [
        ['"key"', "r=4"],
        ['"key"', "r=3"],
        ['"key"', "r=2"],
    ]


def test_above_the_burst_it_is_429_until_retry_after(limited: Api) -> None:
    headers = key_of(limited, 60)
    before = limited.traces()
    answers = [limited.client.get(PATH, headers=headers)]
    while answers[-1].status_code == 200:
        assert len(answers) < 500, "a machine that takes longer than a second for each keeps within the limit"
        answers.append(limited.client.get(PATH, headers=headers))
    assert len(answers) > 5
    assert_problem(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["RateLimit"].startswith('"key";r=0;t=')
    wait = int(answers[-1].headers["Retry-After"])
    assert wait == 1
    time.sleep(wait)
    assert limited.client.get(PATH, headers=headers).status_code == 200
    assert limited.traces() == before


def test_of_forty_requests_at_once_by_two_processes_those_of_the_burst_are_taken(
    limited: Api, tmp_path: Path, redis_url: str
) -> None:
    headers = key_of(limited, 5)  # one in twelve seconds: none comes back meanwhile
    with running_api(limited.database_url, tmp_path / "objects", **PATIENT, PIXMILL_REDIS_URL=redis_url) as second:
        apis = [limited, second]
        for api in apis:  # so that no look-up of the key takes longer than the bucket needs
            assert api.client.get("/health").status_code == 200
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(lambda n: apis[n % 2].client.get(PATH, headers=headers).status_code, range(40)))
    assert statuses.count(200) + statuses.count(429) == 40
    assert 5 <= statuses.count(200) <= 6


def test_key_has_a_limit_of_its_own_or_none(limited: Api) -> None:
    assert limited.client.get(PATH, headers=key_of(limited)).headers["RateLimit-Policy"] == '"key";q=5;w=1'
    free = key_of(limited, 0)
    answers = [limited.client.get(PATH, headers=free) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[-1].headers


def test_request_without_the_scope_counts_too(limited: Api) -> None:
    headers = bearing(made_key(limited, "no-scope", scopes=(), rate_limit=5))
    statuses = [limited.client.get(PATH, headers=headers).status_code for _ in range(6)]
    assert statuses == [403] * 5 + [429]


def test_probes_and_documents_are_not_limited(limited: Api) -> None:
    headers = key_of(limited, 1)
    for path in ("/health", "/openapi.json", "/docs", "/files/x?expires=1&signature=1"):
        assert 429 not in {limited.client.get(path, headers=headers).status_code for _ in range(4)}, path


def test_clock_of_redis_that_was_set_back_locks_nobody_out(limited: Api, redis_url: str) -> None:
    made = made_key(limited, "clock", rate_limit=60)
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"pixmill:rate:{made.key.id}", int((time.time() + 86_400) * 1_000_000))
    refused = limited.client.get(PATH, headers=bearing(made))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) == 1


@contextmanager
def silent_redis() -> Iterator[Down]:
    """Takes connections, which it gives too, and says nothing, as a server does that hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", held
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            for connection in held:
                connection.close()


@contextmanager
def nobody() -> Iterator[Down]:
    yield f"redis://127.0.0.1:{closed_port()}/0", []


@pytest.mark.parametrize("down", [silent_redis, nobody])
@pytest.mark.parametrize("when_down", ["open", "closed"])
def test_without_redis_requests_are_let_through_or_refused_and_none_hangs(
    postgres_url: str, tmp_path: Path, down: Callable[[], AbstractContextManager[Down]], when_down: str
) -> None:
    settings = {**LIMITED, "PIXMILL_RATE_LIMIT_WHEN_DOWN": when_down}
    with (
        down() as (url, asked),
        running_api(postgres_url, tmp_path / "objects", **settings, PIXMILL_REDIS_URL=url) as api,
    ):
        headers = key_of(api, 1)
        started = time.monotonic()
        answers = [api.client.get(PATH, headers=headers) for _ in range(20)]
        took = time.monotonic() - started
        assert api.client.get("/health").status_code == 200
    # Once a second at most, each time by a connection of its own.
    assert len(asked) <= 2 + took / BREAK
    if when_down == "open":
        assert {answer.status_code for answer in answers} == {200}
    else:
        for answer in answers:
            assert_problem(answer, 503, "limits_unavailable")
            assert answer.headers["Retry-After"] == "1"


def test_redis_that_goes_and_comes_back_is_noticed(postgres_url: str, tmp_path: Path, redis_url: str) -> None:
    where = urlsplit(redis_url)
    gate = Gate((str(where.hostname), int(where.port or 0)))
    url = where._replace(netloc=f":{where.password}@127.0.0.1:{gate.port}").geturl()
    settings = {**PATIENT, "PIXMILL_REDIS_URL": url, "PIXMILL_RATE_LIMIT_WHEN_DOWN": "closed"}
    with running_api(postgres_url, tmp_path / "objects", **settings) as api:
        headers = key_of(api, 0), key_of(api)
        eventually(lambda: api.client.get(PATH, headers=headers[1]).status_code == 200, 60)
        gate.shut()
        eventually(lambda: api.client.get(PATH, headers=headers[1]).status_code == 503, 60)
        assert api.client.get(PATH, headers=headers[0]).status_code == 200, "a key without a limit needs no Redis"
        gate.open()
        eventually(lambda: "RateLimit" in api.client.get(PATH, headers=headers[1]).headers, 60)
    gate.shut()


def test_with_keys_off_nothing_is_limited(postgres_url: str, tmp_path: Path, redis_url: str) -> None:
    settings = {**LIMITED, "PIXMILL_AUTH": "off", "PIXMILL_RATE_LIMIT": "1", "PIXMILL_REDIS_URL": redis_url}
    with running_api(postgres_url, tmp_path / "objects", **settings) as api:
        answers: list[httpx.Response] = [api.client.get(PATH) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[-1].headers
