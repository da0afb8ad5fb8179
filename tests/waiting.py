"""Waiting for a condition, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T | None], within: float, every: float = 0.05) -> T:
    """The first truthy value of ``condition``; AssertionError when it is false still after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        # Taken first: who stood still past the deadline looks once more.
        late = time.monotonic() > deadline
        if value := condition():
            return value
        assert not late, f"did not happen within {within} s: {condition}"
        time.sleep(every)
