"""The addresses of a job's outputs: known before a byte of the source is read."""

from dataclasses import dataclass

from pixmill_imaging.domain.rendition import rendition_key
from pixmill_imaging.service.assets import fonts_of
from pixmill_imaging.service.engine import Engine
from pixmill_shared.domain.recipe import Output, Recipe, recipe_hash


@dataclass(frozen=True)
class Planned:
    """An output of the recipe and the address of its rendition, ``key``."""

    position: int
    output: Output
    hash: str
    key: str


def plan_outputs(recipe: Recipe, source_sha256: str, engine: Engine) -> list[Planned]:
    """In the recipe's order. Two outputs that differ by name only have one key."""
    hashes = [recipe_hash(output) for output in recipe.outputs]
    return [
        Planned(
            *(position, output, digest),
            rendition_key(source_sha256, digest, engine.name + fonts_of(output, engine.fonts)),
        )
        for position, (output, digest) in enumerate(zip(recipe.outputs, hashes, strict=True))
    ]
