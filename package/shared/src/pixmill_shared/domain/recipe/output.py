"""How an output is encoded: its fields but for name and operations, read from JSON, with their schema beside."""

from typing import Any, Final

from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.limits import MAX_WEBP_SIDE
from pixmill_shared.domain.recipe.model import (
    DEFAULT_MIN_SSIM,
    Effort,
    MetadataPolicy,
    Output,
    OutputFormat,
    default_quality,
)
from pixmill_shared.domain.recipe.naming import KEY_SCHEMA, read_key
from pixmill_shared.domain.recipe.operations import Operation

_REAL_FORMATS: Final = [f for f in OutputFormat if f not in (OutputFormat.SOURCE, OutputFormat.AUTO)]
_MOST_BYTES: Final = 1_000_000_000

OUTPUT_SCHEMA: Final[dict[str, Any]] = {
    "format": {
        "description": "source: the source's if it is one of the others, else jpeg. auto: the one of `formats` that "
        "takes the fewest bytes at a likeness of `min_ssim`, or the likest if none reaches it. No side of a webp is "
        f"longer than {MAX_WEBP_SIDE}",
        "enum": list(OutputFormat),
        "default": "source",
    },
    "formats": {
        "description": "With format auto: what to choose from. Without: avif, webp, and jpeg, or png where something "
        "can be seen through, or gif where something moves",
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": _REAL_FORMATS},
    },
    "quality": {
        "description": "Of jpeg, webp and avif. Without: 80, and 60 for avif",
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
    },
    "min_ssim": {
        "description": "With format auto: the least likeness to the picture before it was encoded",
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": DEFAULT_MIN_SSIM,
    },
    "max_bytes": {
        "description": "Lower the quality until the file is no larger; the job fails if none is low enough",
        "type": "integer",
        "minimum": 1,
        "maximum": _MOST_BYTES,
    },
    "lossless": {"description": "Of webp; png always is", "type": "boolean", "default": False},
    "effort": {
        "description": "small: some 5 to 10 % fewer bytes for several times the CPU. A jpeg is progressive with small "
        "only, and where that takes fewer bytes",
        "enum": list(Effort),
        "default": "fast",
    },
    "animated": {
        "description": "Keep an animation where the format holds one; false: its first frame",
        "type": "boolean",
        "default": True,
    },
    "metadata": {
        "description": "strip: none is left. keep_copyright: creator, notice, credit and terms, nothing else. keep: "
        "EXIF, XMP, comment and, from jpeg to jpeg, IPTC, with the place where it was taken, but without thumbnails",
        "enum": list(MetadataPolicy),
        "default": "strip",
    },
    "key": KEY_SCHEMA,
}

#: JSON Schema of an output: which of its fields go together.
OUTPUT_RULES: Final[dict[str, Any]] = {
    "anyOf": [
        {"required": ["format"], "properties": {"format": {"const": "auto"}, "lossless": {"const": False}}},
        {
            "required": ["format"],
            "properties": {"format": {"enum": ["png", "webp"]}, "formats": False, "min_ssim": False},
        },
        {
            "properties": {
                "format": {"enum": [f for f in OutputFormat if f not in ("auto", "png", "webp")]},
                "formats": False,
                "min_ssim": False,
                "lossless": {"const": False},
            }
        },
    ]
}


def read_output(fields: Fields, name: str, operations: tuple[Operation, ...]) -> Output:
    """What is wrong is noted in ``fields``, and the output is then never used."""
    output_format = fields.choice("format", OutputFormat.SOURCE)
    return Output(
        name,
        operations,
        output_format,
        fields.integer("quality", default_quality(output_format), 1, 100),
        fields.choice("metadata", MetadataPolicy.STRIP),
        max_bytes=fields.integer("max_bytes", None, 1, _MOST_BYTES),
        formats=_formats(fields, output_format),
        min_ssim=_min_ssim(fields, output_format),
        lossless=_lossless(fields, output_format),
        effort=fields.choice("effort", Effort.FAST),
        # A JPEG never moves: both ways to ask for one are one recipe.
        animated=fields.boolean("animated", True) or output_format is OutputFormat.JPEG,
        key=read_key(fields, name),
    )


def _formats(fields: Fields, output_format: OutputFormat) -> tuple[OutputFormat, ...]:
    if not fields.given("formats"):
        return ()
    _only_with_auto(fields, "formats", output_format)
    items = fields.raw("formats")
    if not isinstance(items, list) or not items or any(item not in _REAL_FORMATS for item in items):
        fields.fail(f"must be an array of {', '.join(_REAL_FORMATS)}", "formats")
        return ()
    if len(set(items)) < len(items):
        fields.fail("must not name a format twice", "formats")
    # Their order says nothing, so the canonical form has one.
    return tuple(candidate for candidate in _REAL_FORMATS if candidate in items)


def _min_ssim(fields: Fields, output_format: OutputFormat) -> float | None:
    if fields.given("min_ssim"):
        _only_with_auto(fields, "min_ssim", output_format)
    elif output_format is not OutputFormat.AUTO:
        return None
    return fields.number("min_ssim", DEFAULT_MIN_SSIM, 0, 1)


def _only_with_auto(fields: Fields, key: str, output_format: OutputFormat) -> None:
    if output_format is not OutputFormat.AUTO:
        fields.fail("only goes with format auto", key)


def _lossless(fields: Fields, output_format: OutputFormat) -> bool:
    wanted = fields.boolean("lossless", False)
    if wanted and output_format not in (OutputFormat.PNG, OutputFormat.WEBP):
        fields.fail("only goes with format png or webp", "lossless")
    # A PNG is lossless anyway: both ways to ask for one are one recipe.
    return wanted and output_format is OutputFormat.WEBP
