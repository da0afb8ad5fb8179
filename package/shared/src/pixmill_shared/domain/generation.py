"""What a job that generates pictures may be asked for, how it is cut into chunks, and how its files are named."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

SAFE_LENGTH: Final = 30
"""Characters of a thing's name that are kept in the name of its file."""

FIRST_ESTIMATE: Final = 8.0
"""Seconds for a picture, while nobody knows better."""

MOST_ITEMS: Final = 1_000
"""Of one job; a setting may allow fewer."""

SHARE: Final = 100
"""Items that IMAGE_JOB_TIMEOUT is for; a longer list has as much for each so many of its items."""


class Fallback(StrEnum):
    """What becomes of a thing that no model made a picture of."""

    #: It gets a card with its name, which says that it is one.
    PLACEHOLDER = "placeholder"
    #: The job fails; pictures that are there are kept.
    FAIL = "fail"
    #: It stays without a picture.
    SKIP = "skip"


class Form(StrEnum):
    """How it was asked for, and is answered."""

    GENERAL = "general"
    MENU = "menu"


#: What the names of files begin with.
PREFIXES: Final = {Form.GENERAL: "image_", Form.MENU: "menu_image_"}


def chunks_of(prompts: Sequence[str], size: int) -> list[int]:
    """The position of each prompt's chunk: ``size`` different ones are a chunk, and equal ones are in the same, so that
    the second finds the picture of the first.
    """
    first: dict[str, int] = {}
    for prompt in prompts:
        first.setdefault(prompt, len(first))
    return [first[prompt] // size for prompt in prompts]


def safe_name(name: str) -> str:
    """Letters and digits in lower case, spaces as underscores, nothing else, at most ``SAFE_LENGTH`` characters; of
    other scripts what Unicode writes in Latin letters too. What nothing is left of has eight digits of its own.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9 _]", "", re.sub(r"\s+", " ", plain).strip()).replace(" ", "_")
    kept = re.sub(r"_+", "_", kept)[:SAFE_LENGTH].strip("_")
    return kept or hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def distinct(names: Iterable[str]) -> list[str]:
    """Each name, with ``_2``, ``_3`` at the end of those that another one had before; none longer than before, or than
    ``SAFE_LENGTH``.
    """
    taken: set[str] = set()
    last: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        chosen = name
        while chosen in taken:
            last[name] = last.get(name, 1) + 1
            mark = f"_{last[name]}"
            chosen = name[: SAFE_LENGTH - len(mark)] + mark
        taken.add(chosen)
        found.append(chosen)
    return found


def time_limit(timeout: float, items: int) -> float:
    """Seconds that a job of so many items may take; ``timeout``: one of ``SHARE`` items, or fewer."""
    return timeout * max(items / SHARE, 1.0)


def seconds_left(items: int, chunks: int, at_once: int, seconds: float | None, pause: float = 0.0) -> int:
    """Until ``items`` in ``chunks`` are done, so many chunks at once, if a picture takes ``seconds`` and is begun
    ``pause`` seconds after the one before.
    """
    if not items:
        return 0
    rounds = math.ceil(chunks / max(at_once, 1))
    return math.ceil(max(rounds * (items / chunks) * (seconds or FIRST_ESTIMATE), items * pause))
