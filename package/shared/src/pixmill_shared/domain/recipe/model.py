"""What is to be made of a source: a recipe of named outputs, each a list of operations and an encoding.

Frozen and canonical: two recipes that mean the same have the same canonical form, so ``recipe_hash`` can
address the pixels. The JSON form is read by ``parsing``.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_DIMENSION: Final = 16_384
MAX_OUTPUTS: Final = 20
MAX_OPERATIONS: Final = 50

DEFAULT_QUALITY: Final = 80
DEFAULT_AVIF_QUALITY: Final = 60
DEFAULT_BLUR_SIGMA: Final = 2.0
DEFAULT_SHARPEN_AMOUNT: Final = 0.6

#: The output of the short form, ``POST /process``.
PROCESS_OUTPUT: Final = "result"


class ResizeMode(StrEnum):
    FIT = "fit"
    FILL = "fill"
    EXACT = "exact"


class FilterName(StrEnum):
    GRAYSCALE = "grayscale"
    BLUR = "blur"
    SHARPEN = "sharpen"


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
class Limits:
    """``max_dimension`` in pixels, the others are counts."""

    max_dimension: int = MAX_DIMENSION
    max_outputs: int = MAX_OUTPUTS
    max_operations: int = MAX_OPERATIONS


@dataclass(frozen=True)
class Resize:
    """``width`` and ``height`` in pixels after autorotation; fit may leave one out, fill and exact have both.

    fit: inside the box. fill: cover the box and cut away what hangs over, evenly on both sides. exact:
    stretch. Without ``enlarge`` fit and fill never scale up; exact always gives the size that was asked for.
    """

    width: int | None
    height: int | None
    mode: ResizeMode = ResizeMode.FIT
    enlarge: bool = False

    def canonical(self) -> dict[str, object]:
        size = {key: value for key, value in (("width", self.width), ("height", self.height)) if value is not None}
        return {"op": "resize", **size, "mode": str(self.mode), "enlarge": self.enlarge}


@dataclass(frozen=True)
class Grayscale:
    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": str(FilterName.GRAYSCALE)}


@dataclass(frozen=True)
class Blur:
    """Gaussian; ``sigma`` in pixels of the picture as it is at this step."""

    sigma: float = DEFAULT_BLUR_SIGMA

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": str(FilterName.BLUR), "sigma": self.sigma}


@dataclass(frozen=True)
class Sharpen:
    """Unsharp mask; ``amount`` 1 adds the difference to a blurred copy once."""

    amount: float = DEFAULT_SHARPEN_AMOUNT

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": str(FilterName.SHARPEN), "amount": self.amount}


Operation = Resize | Grayscale | Blur | Sharpen


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
