"""From a source's bytes and a recipe to the bytes of its outputs: one decode, N outputs, nothing stored.

``render`` reads the header and applies the limits; ``Rendering.outputs`` decodes once and yields one output
after the other, so that a caller can store each while the next is not made yet.
"""

import functools
import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.loader import Header, Loader, OpenedSource, Step, no_step
from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.domain.plan import is_whole, size_after, size_to_load
from pixmill_imaging.domain.sniff import SourceFormat, sniff
from pixmill_imaging.pillow.encoders import ENCODERS
from pixmill_imaging.pillow.facts import facts, frames_in
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.kernels import Kernels
from pixmill_imaging.pillow.ladder import Ladder
from pixmill_imaging.pillow.metadata import kept
from pixmill_imaging.pillow.operations import apply_operation
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.view import View
from pixmill_imaging.service.assets import Assets, nothing_to_read
from pixmill_imaging.service.encoding import encode
from pixmill_imaging.service.kernels import kernels_of
from pixmill_imaging.service.motion import frames_to_load, moves
from pixmill_shared.domain.recipe import MetadataPolicy, Output, OutputFormat, Recipe


@dataclass(frozen=True)
class SourceInfo:
    """``width`` and ``height`` in pixels after autorotation, ``bytes`` and ``frames`` counts, ``sha256`` in
    hex.
    """

    width: int
    height: int
    format: SourceFormat
    bytes: int
    sha256: str
    frames: int = 1


@dataclass(frozen=True)
class Rendered:
    """One made output; ``extension`` has no dot, ``sha256`` is of ``data``, in hex; the last two as in ``Facts``."""

    name: str
    format: OutputFormat
    media_type: str
    extension: str
    width: int
    height: int
    frames: int
    data: bytes
    sha256: str
    thumbhash: str
    dominant_color: str | None


def render(
    data: bytes,
    recipe: Recipe,
    loader: Loader[Picture],
    limits: PixelLimits,
    assets: Assets | None = None,
    step: Step = no_step,
) -> "Rendering":
    """Judge the source by its header, before anything is decoded. ``step`` is called between the steps of what follows.

    Raises PermanentError ``unsupported_format``, ``undecodable``, ``too_many_pixels``, ``too_many_frames`` or
    ``recipe_mismatch``.
    """
    opened = loader.open(data, sniff(data))
    header = opened.header
    limits.check_source(header.size)
    limits.check_animation(header.size, frames_to_load(recipe.outputs, header.format, header.frames))
    for output in recipe.outputs:
        _check_sizes(output, header, limits)
    sha256 = hashlib.sha256(data).hexdigest()
    source = SourceInfo(*header.size, header.format, len(data), sha256, header.frames)
    assets = assets or Assets(nothing_to_read, loader, limits, FontBook())
    metadata = functools.cache(functools.partial(kept, data, header.format))
    return Rendering(source, recipe, opened, limits, kernels_of(loader.name), assets, metadata, step)


class Rendering:
    """A source that passed the limits, and what is to be made of it."""

    def __init__(
        self,
        source: SourceInfo,
        recipe: Recipe,
        opened: OpenedSource[Picture],
        limits: PixelLimits,
        kernels: Kernels,
        assets: Assets,
        metadata: Callable[[MetadataPolicy], Metadata],
        step: Step = no_step,
    ) -> None:
        self.source = source
        self._recipe = recipe
        self._opened = opened
        self._limits = limits
        self._kernels = kernels
        self._assets = assets
        self._metadata = metadata
        self._step = step

    def outputs(self, names: Collection[str] | None = None) -> Iterator[Rendered]:
        """Make the outputs in the recipe's order, or those in ``names`` only. Good for one call.

        Raises PermanentError ``undecodable``, and after a trim the others of ``render`` too.
        """
        wanted = [output for output in self._recipe.outputs if names is None or output.name in names]
        if not wanted:
            return
        size = Size(self.source.width, self.source.height)
        sizes = {output.name: size_to_load(size, output.operations) for output in wanted}
        frames = frames_to_load(wanted, self.source.format, self.source.frames)
        self._step()
        loaded = replace(self._opened.pixels(_covering(sizes.values()), frames, self._step), step=self._step)
        whole = {sizes[output.name] for output in wanted if is_whole(output.operations)}
        moving = Ladder(loaded, whole, self._kernels.resample)
        still = Ladder(loaded.first(), whole, self._kernels.resample) if loaded.is_animated else moving
        for output in wanted:
            ladder = moving if moves(output, self.source.format) else still
            shown = ladder.at(sizes[output.name] if is_whole(output.operations) else loaded.size)
            picture = self._applied(View.of(shown, size, self._kernels.resample), output)
            yield _made(picture, output, self.source.format, self._metadata(output.metadata))

    def steps(self, names: Collection[str]) -> int:
        """About how often ``step`` will be called by ``outputs(names)``."""
        wanted = [output for output in self._recipe.outputs if output.name in names]
        frames = frames_to_load(wanted, self.source.format, self.source.frames)
        moved = [frames if moves(output, self.source.format) else 1 for output in wanted]
        return frames + sum(len(output.operations) + count for output, count in zip(wanted, moved, strict=True))

    def _applied(self, view: View, output: Output) -> Picture:
        for operation in output.operations:
            self._step()
            # Known from the header, but for what comes after a trim.
            self._limits.check_output(output.name, size_after(view.size, operation), len(view.picture.frames))
            view = apply_operation(view, operation, self._kernels, self._assets)
        return view.settled()


def _covering(sizes: Collection[Size]) -> Size:
    """The smallest size that is nowhere smaller than any of them."""
    return Size(max(size.width for size in sizes), max(size.height for size in sizes))


def _check_sizes(output: Output, header: Header, limits: PixelLimits) -> None:
    size, frames = header.size, frames_to_load((output,), header.format, header.frames)
    for operation in output.operations:
        size = size_after(size, operation)
        limits.check_output(output.name, size, frames)


def _made(picture: Picture, output: Output, source_format: SourceFormat, metadata: Metadata) -> Rendered:
    encoded = encode(picture, output, source_format, metadata)
    encoder, shown = ENCODERS[encoded.format], facts(picture.frames[0])
    return Rendered(
        name=output.name,
        format=encoded.format,
        media_type=encoder.media_type,
        extension=encoder.extension,
        width=picture.size.width,
        height=picture.size.height,
        frames=frames_in(encoded.data) if picture.is_animated else 1,
        data=encoded.data,
        sha256=hashlib.sha256(encoded.data).hexdigest(),
        thumbhash=shown.thumbhash,
        dominant_color=shown.dominant_color,
    )
