"""What is to be made of a source: a recipe of named outputs, each a list of operations and an encoding.

Frozen and canonical: two recipes that mean the same have the same canonical form, so ``recipe_hash`` can
address the pixels. The JSON form is read by ``parsing``.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pixmill_shared.domain.recipe.operations import Operation, decisive

DEFAULT_QUALITY: Final = 80
DEFAULT_AVIF_QUALITY: Final = 60

#: Of ``auto``: a difference that one has to look for.
DEFAULT_MIN_SSIM: Final = 0.95

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
    #: The one of ``formats`` that gives the fewest bytes at a likeness of ``min_ssim``.
    AUTO = "auto"


class MetadataPolicy(StrEnum):
    """strip: nothing is left. keep_copyright: who made it and on what terms, nothing else. keep: all of it, the place
    where it was taken too, but for the orientation, which is done, and thumbnails, which show another picture.
    """

    STRIP = "strip"
    KEEP_COPYRIGHT = "keep_copyright"
    KEEP = "keep"


class Effort(StrEnum):
    """Whether to save the encoder's CPU or the file's bytes."""

    FAST = "fast"
    SMALL = "small"


def default_quality(output_format: OutputFormat) -> int | None:
    """From 1 to 100; None for ``source`` and ``auto``, whose quality is known once the format is."""
    if output_format in (OutputFormat.SOURCE, OutputFormat.AUTO):
        return None
    return DEFAULT_AVIF_QUALITY if output_format is OutputFormat.AVIF else DEFAULT_QUALITY


@dataclass(frozen=True)
class Output:
    """``quality`` from 1 to 100, of lossy formats; None means the default of the format that it comes to.

    ``max_bytes`` lowers the quality as far as it must. ``formats`` and ``min_ssim`` (from 0 to 1) go with the format
    ``auto``; no formats means those that suit the picture. ``lossless`` goes with webp, and with png, which always is.
    ``animated`` keeps an animation where the format can hold one; else it is the first frame. ``key`` is a template for
    the name of the copy at the job's destination.
    """

    name: str
    operations: tuple[Operation, ...] = ()
    format: OutputFormat = OutputFormat.SOURCE
    quality: int | None = None
    metadata: MetadataPolicy = MetadataPolicy.STRIP
    max_bytes: int | None = None
    formats: tuple[OutputFormat, ...] = ()
    min_ssim: float | None = None
    lossless: bool = False
    effort: Effort = Effort.FAST
    animated: bool = True
    key: str | None = None

    def canonical(self) -> dict[str, object]:
        """What came later than the first recipes is there only if it says something: their hashes stay."""
        later = {
            "quality": self.quality,
            "max_bytes": self.max_bytes,
            "formats": [str(output_format) for output_format in self.formats] or None,
            "min_ssim": self.min_ssim,
            "lossless": self.lossless or None,
            "effort": None if self.effort is Effort.FAST else str(self.effort),
            "animated": None if self.animated else False,
            "key": self.key,
        }
        return {
            "name": self.name,
            "operations": [operation.canonical() for operation in self.operations],
            "format": str(self.format),
            "metadata": str(self.metadata),
            **{key: value for key, value in later.items() if value is not None},
        }


@dataclass(frozen=True)
class Recipe:
    outputs: tuple[Output, ...]

    def canonical(self) -> dict[str, object]:
        """As JSON with every default filled in; ``parse_recipe`` gives the same recipe back."""
        return {"outputs": [output.canonical() for output in self.outputs]}


def recipe_hash(output: Output) -> str:
    """sha256 in hex of what decides the bytes of one output: its canonical form without its names, and without where
    the bytes of a watermark came from.
    """
    parts = {key: value for key, value in output.canonical().items() if key not in ("name", "key")}
    parts["operations"] = [decisive(operation) for operation in output.operations]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
