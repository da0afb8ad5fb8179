"""Keys that a process remembers, with a clock of the test's own."""

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest

from pixmill_api.errors import NotAuthenticated
from pixmill_api.service.known_keys import KnownKeys
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.repositories.api_keys import CheckedKey
from pixmill_shared.service.keys import digest_of, prefix_of


def token(number: int = 0, last: str = "a") -> str:
    return f"pxm_{number:012x}{last * 43}"


@dataclass
class Table:
    """Where keys are: counts how often it is asked."""

    expires_in: float | None = None
    gone: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, given: str) -> CheckedKey | None:
        self.asked.append(given)
        prefix = prefix_of(given)
        if self.gone or prefix is None or given[-1] != "a":
            return None
        scopes = frozenset(Scope)
        return CheckedKey(uuid.uuid4(), "p", "n", prefix, digest_of(given), scopes, False, None, None, self.expires_in)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def found(keys: KnownKeys, given: str) -> bool:
    try:
        asyncio.run(keys.find(given))
    except NotAuthenticated:
        return False
    return True


def test_key_is_looked_up_once_within_its_time() -> None:
    table, clock = Table(), Clock()
    keys = KnownKeys(table, ttl=5, clock=clock)
    assert all(found(keys, token()) for _ in range(3))
    clock.now = 4.9
    assert found(keys, token())
    assert len(table.asked) == 1
    clock.now = 5
    assert found(keys, token())
    assert len(table.asked) == 2


def test_revoked_key_is_refused_after_that_time_at_the_latest() -> None:
    table, clock = Table(), Clock()
    keys = KnownKeys(table, ttl=5, clock=clock)
    assert found(keys, token())
    table.gone = True
    clock.now = 5
    assert not found(keys, token())


def test_key_that_was_changed_here_is_looked_up_again() -> None:
    table = Table()
    keys = KnownKeys(table, ttl=5, clock=Clock())
    assert found(keys, token())
    table.gone = True
    keys.forget(f"{0:012x}")
    assert not found(keys, token())


def test_key_is_not_trusted_beyond_its_own_end() -> None:
    table, clock = Table(expires_in=2), Clock()
    keys = KnownKeys(table, ttl=5, clock=clock)
    assert found(keys, token())
    table.gone = True
    clock.now = 1.9
    assert found(keys, token())
    clock.now = 2
    assert not found(keys, token())


def test_without_a_time_each_request_asks() -> None:
    table = Table()
    keys = KnownKeys(table, ttl=0, clock=Clock())
    assert all(found(keys, token()) for _ in range(3))
    assert len(table.asked) == 3


def test_token_that_differs_from_a_known_one_is_refused_without_asking() -> None:
    table = Table()
    keys = KnownKeys(table, ttl=5, clock=Clock())
    assert found(keys, token())
    assert not found(keys, token(last="b"))
    assert found(keys, token())
    assert len(table.asked) == 1


def test_refusals_are_not_remembered() -> None:
    table = Table(gone=True)
    keys = KnownKeys(table, ttl=5, clock=Clock())
    assert not found(keys, token())
    table.gone = False
    assert found(keys, token())


def test_no_more_keys_are_remembered_than_allowed_and_the_oldest_goes() -> None:
    table = Table()
    keys = KnownKeys(table, ttl=5, most=2, clock=Clock())
    for number in (0, 1, 2):
        assert found(keys, token(number))
    assert found(keys, token(1))
    assert found(keys, token(2))
    assert len(table.asked) == 3
    assert found(keys, token(0))
    assert len(table.asked) == 4


@pytest.mark.parametrize(
    "given",
    [
        *("", "x", "pxm_", token()[:-1], token() + "a", token() + "\n", token().upper(), token().replace("a", "\x00")),
        *("pxm_" + "a" * 10_000, "pxm_" + "é" * 55, "pxm_" + "٣" * 12 + "a" * 43),
    ],
    ids=lambda given: repr(given[:20]) + str(len(given)),
)
def test_what_is_no_token_is_refused_without_asking(given: str) -> None:
    table = Table()
    assert not found(KnownKeys(table, ttl=5, clock=Clock()), given)
    assert table.asked == []
