"""What is to be made of a source: a recipe of named outputs, each a list of operations and an encoding.

Frozen and canonical: two recipes that mean the same have the same canonical form, so ``recipe_hash`` can
address the pixels. The JSON form is read by ``parsing``.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pixmill_shared.domain.recipe.operations import Operation

DEFAULT_QUALITY: Final = 80
DEFAULT_AVIF_QUALITY: Final = 60

#: The output of the short form, ``POST /process``.
PROCESS_OUTPUT: Final = "result"


class OutputFormat(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    #: The source's own if it is one of the above, else jpeg.
    SOURCE = "source"


class MetadataPolicy(StrEnum):
    STRIP = "strip"


def default_quality(output_format: OutputFormat) -> int | None:
    """From 1 to 100; None for ``source``, whose quality is known once the source is."""
    if output_format is OutputFormat.SOURCE:
        return None
    return DEFAULT_AVIF_QUALITY if output_format is OutputFormat.AVIF else DEFAULT_QUALITY


@dataclass(frozen=True)
class Output:
    """``quality`` from 1 to 100, of lossy formats; None means the default of the source's format."""

    name: str
    operations: tuple[Operation, ...] = ()
    format: OutputFormat = OutputFormat.SOURCE
    quality: int | None = None
    metadata: MetadataPolicy = MetadataPolicy.STRIP

    def canonical(self) -> dict[str, object]:
        quality = {} if self.quality is None else {"quality": self.quality}
        return {
            "name": self.name,
            "operations": [operation.canonical() for operation in self.operations],
            "format": str(self.format),
            **quality,
            "metadata": str(self.metadata),
        }


@dataclass(frozen=True)
class Recipe:
    outputs: tuple[Output, ...]

    def canonical(self) -> dict[str, object]:
        """As JSON with every default filled in; ``parse_recipe`` gives the same recipe back."""
        return {"outputs": [output.canonical() for output in self.outputs]}


def recipe_hash(output: Output) -> str:
    """sha256 in hex of what decides the bytes of one output: its canonical form without its name."""
    decisive = {key: value for key, value in output.canonical().items() if key != "name"}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
