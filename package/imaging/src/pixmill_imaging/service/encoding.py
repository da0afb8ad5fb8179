"""From a finished picture to the file of an output: the format it comes to, and the quality that it takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.domain.quality import highest_that_fits, lowest_that_reaches
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.encoders import ENCODERS, Encoding, is_opaque
from pixmill_imaging.pillow.likeness import likeness
from pixmill_imaging.pillow.picture import Picture
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import DEFAULT_MIN_SSIM, Effort, Output, OutputFormat, default_quality
from pixmill_shared.errors import PermanentError

#: Of the format ``auto``, where the recipe names none: the best first, and one that everything reads.
_MODERN: Final = (OutputFormat.AVIF, OutputFormat.WEBP)


@dataclass(frozen=True)
class Encoded:
    format: OutputFormat
    data: bytes


def encode(picture: Picture, output: Output, source_format: SourceFormat, metadata: Metadata) -> Encoded:
    """Raises PermanentError ``recipe_mismatch`` if the picture is larger than the format can be, or if it takes more
    than ``max_bytes`` at any quality.
    """
    if output.format is not OutputFormat.AUTO:
        output_format = _resolved(output.format, source_format)
        _check_side(picture, output, output_format)
        encoded = _encoded(picture, output, output_format, metadata)
        _check_bytes(output, (encoded,))
        return encoded
    candidates = [candidate for candidate in _candidates(picture, output) if _holds(picture, candidate)]
    if not candidates:
        _check_side(picture, output, _candidates(picture, output)[0])
    return _smallest(picture, output, [_encoded(picture, output, candidate, metadata) for candidate in candidates])


def _resolved(wanted: OutputFormat, source: SourceFormat) -> OutputFormat:
    if wanted is not OutputFormat.SOURCE:
        return wanted
    known = {str(output_format): output_format for output_format in ENCODERS}
    return known.get(source, OutputFormat.JPEG)


def _candidates(picture: Picture, output: Output) -> tuple[OutputFormat, ...]:
    opaque, moving = all(is_opaque(frame) for frame in picture.frames), picture.is_animated
    if not output.formats:
        plain = OutputFormat.GIF if moving else OutputFormat.JPEG if opaque else OutputFormat.PNG
        return (*_MODERN, plain)
    # What moves and what can be seen through stays so if any of the formats lets it.
    keeping = [f for f in output.formats if ENCODERS[f].has_frames or not moving] or output.formats
    return tuple(f for f in keeping if ENCODERS[f].has_alpha or opaque) or tuple(keeping)


def _encoded(picture: Picture, output: Output, output_format: OutputFormat, metadata: Metadata) -> Encoded:
    encoder = ENCODERS[output_format]
    quality = output.quality or default_quality(output_format) or 0
    how = Encoding(quality, output.lossless, output.effort is Effort.SMALL, metadata)

    @cache
    def make(quality: int) -> bytes:
        picture.step()
        return encoder.encode(picture, replace(how, quality=quality))

    if encoder.has_quality and not output.lossless:
        quality = _quality(picture, output, make, quality)
    return Encoded(output_format, make(quality))


def _quality(picture: Picture, output: Output, make: Callable[[int], bytes], wanted: int) -> int:
    """``max_bytes`` binds, from ``wanted`` down; where it is not, ``auto`` goes up to its likeness."""
    if output.max_bytes is not None:
        most = output.max_bytes
        return highest_that_fits(make, wanted, lambda data: len(data) <= most).quality
    if output.format is OutputFormat.AUTO:
        return lowest_that_reaches(make, wanted, lambda data: likeness(picture, data) >= _floor(output)).quality
    return wanted


def _floor(output: Output) -> float:
    return DEFAULT_MIN_SSIM if output.min_ssim is None else output.min_ssim


def _smallest(picture: Picture, output: Output, made: list[Encoded]) -> Encoded:
    """Of those that are like the picture the one of the fewest bytes; else the one that is most like it."""
    _check_bytes(output, made)
    fitting = [one for one in made if output.max_bytes is None or len(one.data) <= output.max_bytes]
    alike = {one.format: likeness(picture, one.data) for one in fitting}
    good = [one for one in fitting if alike[one.format] >= _floor(output)]
    if good:
        return min(good, key=lambda one: len(one.data))
    return max(fitting, key=lambda one: alike[one.format])


def _check_bytes(output: Output, made: Iterable[Encoded]) -> None:
    least = min(made, key=lambda one: len(one.data))
    if output.max_bytes is None or len(least.data) <= output.max_bytes:
        return
    lossless = output.lossless or not ENCODERS[least.format].has_quality
    tried = "which has no quality to lower" if lossless else "at the lowest quality"
    raise PermanentError(
        ErrorCode.RECIPE_MISMATCH,
        f"Output {output.name} takes {len(least.data)} bytes as {least.format}, {tried}; "
        f"max_bytes is {output.max_bytes}.",
    )


def _holds(picture: Picture, output_format: OutputFormat) -> bool:
    return max(picture.size) <= ENCODERS[output_format].max_side


def _check_side(picture: Picture, output: Output, output_format: OutputFormat) -> None:
    if not _holds(picture, output_format):
        raise PermanentError(
            ErrorCode.RECIPE_MISMATCH,
            f"Output {output.name} would be {picture.size.width}x{picture.size.height}; no side of a "
            f"{output_format} is longer than {ENCODERS[output_format].max_side} pixels.",
        )
