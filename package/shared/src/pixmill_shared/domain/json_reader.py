"""Strict reading of JSON from outside: unknown keys refused, errors collected under RFC 6901 pointers.

Each method gives the value, or notes an error and gives None, so that a caller goes on and finds the rest.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

Choice = TypeVar("Choice", bound=StrEnum)

MOST_OF_POINTER: Final = 300
"""Characters. Keys are as long as who sends them likes, and a pointer may be repeated for each item below its key."""


class JsonError(NamedTuple):
    """``pointer`` (RFC 6901) says where in the document; ``detail`` says what is wrong there."""

    pointer: str
    detail: str


def join_pointer(base: str, key: str | int) -> str:
    """The pointer to ``key`` of what ``base`` points to; one that is too long ends in … instead."""
    pointer = f"{base}/{str(key)[:MOST_OF_POINTER].replace('~', '~0').replace('/', '~1')}"
    if len(pointer) <= MOST_OF_POINTER:
        return pointer
    # No half of an escape, and one … however many steps follow.
    return pointer[: MOST_OF_POINTER - 1].rstrip("~…") + "…"


class JsonReader:
    """Collects what is wrong with one document in ``errors``."""

    def __init__(self) -> None:
        self.errors: list[JsonError] = []

    def fail(self, pointer: str, detail: str) -> None:
        self.errors.append(JsonError(pointer, detail))

    def mapping(self, value: object, at: str, known: Collection[str]) -> dict[str, object] | None:
        if not isinstance(value, dict):
            self.fail(at, "must be an object")
            return None
        for key in value:
            if key not in known:
                self.fail(join_pointer(at, key), f"is not a known key; known here: {', '.join(known)}")
        return value

    def items(self, value: object, at: str, least: int, most: int) -> list[object] | None:
        if not isinstance(value, list):
            self.fail(at, "must be an array")
            return None
        if not least <= len(value) <= most:
            self.fail(at, f"must have {least} to {most} items, and has {len(value)}")
            return None
        return value

    def integer(self, value: object, at: str, least: int, most: int) -> int | None:
        # JSON's true is no number, though Python's is.
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(at, "must be an integer")
            return None
        if not least <= value <= most:
            self.fail(at, f"must be from {least} to {most}")
            return None
        return value

    def number(self, value: object, at: str, least: float, most: float) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(at, "must be a number")
            return None
        # Written so that NaN, which compares false with everything, is out of bounds too.
        if not least <= value <= most:
            self.fail(at, f"must be from {least:g} to {most:g}")
            return None
        # Adding 0 makes one of the two zeros: what means the same is written the same.
        return float(value) + 0.0

    def boolean(self, value: object, at: str) -> bool | None:
        if not isinstance(value, bool):
            self.fail(at, "must be true or false")
            return None
        return value

    def choice(self, value: object, at: str, choices: type[Choice]) -> Choice | None:
        if isinstance(value, str) and value in list(choices):
            return choices(value)
        self.fail(at, f"must be one of {', '.join(choices)}")
        return None
