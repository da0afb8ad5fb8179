"""A list of things, cut into the items of a job that generates pictures."""

from collections.abc import Sequence
from typing import Any, Protocol

from pixmill_shared.domain.generation import chunks_of, distinct, safe_name
from pixmill_shared.repositories.generations import NewItem


class Thing(Protocol):
    """What a picture is made of; ``details``: as it was given."""

    @property
    def category(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    @property
    def details(self) -> dict[str, Any]: ...


def cut(things: Sequence[Thing], size: int) -> list[NewItem]:
    """In their order; ``size`` different prompts are a chunk, and no two files have one name."""
    chunks = chunks_of([thing.prompt for thing in things], size)
    names = distinct(safe_name(thing.name) for thing in things)
    return [
        NewItem(thing.category, thing.name, thing.prompt, name, chunk, thing.details)
        for thing, name, chunk in zip(things, names, chunks, strict=True)
    ]
