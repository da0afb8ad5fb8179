"""The frames of an animation, each complete in itself. One way for both loaders, so that both show the same.

GIF and PNG store parts of frames. Pillow's own putting together of them differs from what browsers show (it carries a
frame's disposal on to the next, clears to colours, and restores what should have been replaced), so each part is
decoded as a still and put on the canvas here. WebP's and AVIF's decoders give whole frames.
"""

import io
from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image

from pixmill_imaging.domain import apng, avif, gif
from pixmill_imaging.domain.animation import Disposal, Part
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.loader import Step, no_step
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.colour import resizable
from pixmill_imaging.pillow.picture import Picture

#: Milliseconds that a frame may last: what a GIF can say, and every other format too.
LONGEST: Final = 655_350
#: What a WebP can say.
_MOST_PLAYS: Final = 65_535

#: A frame at the canvas's size, and its duration in milliseconds.
Timed = tuple[Image.Image, int]


def animation(
    data: bytes,
    image: Image.Image,
    source_format: SourceFormat,
    size: Size,
    count: int,
    finish: Callable[[Image.Image], Canvas],
    step: Step = no_step,
) -> Picture:
    """The first ``count`` frames of ``image``, which was opened from ``data``; EOFError if there are fewer.

    ``size`` is that of the canvas as it is stored. ``finish`` scales a frame down: no more than one is held at its
    full size. ``step`` is called before each is scaled.
    """
    frames, durations = [], []
    for frame, duration in _timed(data, image, source_format, size, count):
        step()
        frames.append(finish(_without_needless_alpha(frame)))
        durations.append(min(max(duration, 0), LONGEST))
    if len(frames) < count:
        raise EOFError("fewer frames than the file claims")
    return Picture(_of_one_mode(frames), tuple(durations), min(_plays(data, image, source_format), _MOST_PLAYS))


def _timed(data: bytes, image: Image.Image, source_format: SourceFormat, size: Size, count: int) -> Iterator[Timed]:
    if source_format is SourceFormat.GIF:
        return _composed(gif.parts(data, size), size, count)
    if source_format is SourceFormat.PNG:
        return _composed(apng.parts(data, size), size, count)
    return _decoded(image, count)


def _plays(data: bytes, image: Image.Image, source_format: SourceFormat) -> int:
    if source_format is SourceFormat.GIF:
        return gif.plays(data)
    if source_format is SourceFormat.PNG:
        return apng.plays(data)
    if source_format is SourceFormat.AVIF:
        return avif.plays(data)
    return int(image.info.get("loop", 0))


def _decoded(image: Image.Image, count: int) -> Iterator[Timed]:
    for index in range(min(count, getattr(image, "n_frames", 1))):
        image.seek(index)
        image.load()
        # A copy: the next seek changes the image itself.
        yield resizable(image.copy()), int(image.info.get("duration", 0))


def _composed(parts: Iterator[Part], size: Size, count: int) -> Iterator[Timed]:
    canvas = Image.new("RGBA", size)
    for part, _ in zip(parts, range(count), strict=False):
        before = canvas.copy() if part.disposal is Disposal.RESTORE else None
        _draw(canvas, part)
        yield canvas.copy(), part.duration
        if before is not None:
            canvas = before
        elif part.disposal is Disposal.CLEAR:
            canvas.paste(
                (0, 0, 0, 0), (part.left, part.upper, part.left + part.size.width, part.upper + part.size.height)
            )


def _draw(canvas: Image.Image, part: Part) -> None:
    if part.file is None:
        return
    # One of the two formats it is, by its first bytes; nothing else is tried.
    image = Image.open(io.BytesIO(part.file), formats=("GIF", "PNG"))
    image.load()
    drawn = resizable(image).convert("RGBA")
    if drawn.size != part.size:
        raise ValueError("a frame of another size than it claims")
    if not part.over or _is_opaque(drawn):
        canvas.paste(drawn, (part.left, part.upper))
    else:
        canvas.alpha_composite(drawn, (part.left, part.upper))


def _without_needless_alpha(frame: Image.Image) -> Image.Image:
    return frame.convert("RGB") if frame.mode == "RGBA" and _is_opaque(frame) else frame


def _is_opaque(image: Image.Image) -> bool:
    return image.getchannel("A").getextrema()[0] == 255


def _of_one_mode(frames: list[Canvas]) -> tuple[Canvas, ...]:
    modes = {frame.mode for frame in frames}
    if len(modes) == 1:
        return tuple(frames)
    mode = "RGBA" if "RGBA" in modes else "RGB"
    return tuple(frame if frame.mode == mode else frame.convert(mode) for frame in frames)
