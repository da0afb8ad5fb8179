"""What is put through the worker: good, damaged and hostile files, always the same for a number."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from tests.fuzz.corpus import good_files, hostile_files
from tests.fuzz.damage import damaged
from tests.fuzz.trying import EXPLAINED

FORMATS = ("jpeg", "png", "webp", "avif", "gif", "source")


@dataclass(frozen=True)
class Ordered:
    """One job. ``expected`` are the ends it may have: completed, or the code of an error."""

    kind: str
    data: bytes
    outputs: list[dict[str, Any]]
    expected: frozenset[str]


@cache
def large_files() -> dict[str, bytes]:
    """What a camera, a shop and a newsroom send: some megapixels each."""
    return {
        "camera": jpeg(photo(2400, 1800, seed=31), orientation=6),
        "shop": encoded(photo(1200, 1200, seed=32), "PNG"),
        "newsroom": jpeg(photo(1800, 1200, seed=33), progressive=True),
    }


def mixture(count: int, large_every: int = 50, endless_every: int = 1000) -> Iterator[Ordered]:
    """Half good, a third damaged, the rest hostile; a few large ones, and a few that take longer than is allowed."""
    good, hostile, large = sorted(good_files()), sorted(hostile_files()), sorted(large_files())
    for number in range(count):
        dice = random.Random(number)
        # Widths and amounts that differ, so that hardly a rendition is there already.
        sharpen = {"op": "filter", "name": "sharpen", "amount": 0.1 + number / 5000}
        steps = [{"op": "resize", "width": 16 + number % 53}, sharpen]
        outputs = [{"name": "web", "format": dice.choice(FORMATS), "operations": steps}]
        chance = dice.random()
        if number % endless_every == endless_every // 2:
            yield Ordered("endless", large_files()["camera"], endless_outputs(number), frozenset({"time_limit"}))
        elif number % large_every == 0:
            steps[0] = {"op": "resize", "width": 300 + number % 53}
            small = {"name": "small", "operations": [{"op": "resize", "width": 90}], "metadata": "keep_copyright"}
            name = large[number // large_every % len(large)]
            yield Ordered("large", large_files()[name], [*outputs, small], frozenset({"completed"}))
        elif chance < 0.5:
            yield Ordered("good", good_files()[dice.choice(good)], outputs, frozenset({"completed"}))
        elif chance < 0.85:
            data = damaged(good_files()[dice.choice(good)], number)
            yield Ordered("damaged", data, outputs, frozenset({"completed", *map(str, EXPLAINED)}))
        else:
            outputs[0]["format"] = "source"
            code, data = hostile_files()[dice.choice(hostile)]
            yield Ordered("hostile", data, outputs, frozenset({code or "completed"}))


def endless_outputs(number: int) -> list[dict[str, Any]]:
    """Minutes of work, in steps that each end soon."""
    blur = {"op": "filter", "name": "blur", "sigma": 20 + number % 7}
    return [{"name": f"o{at}", "format": "jpeg", "operations": [blur] * 50} for at in range(20)]
