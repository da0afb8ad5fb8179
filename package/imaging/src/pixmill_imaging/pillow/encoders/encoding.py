"""What an encoder is given beside the picture, and what all of them need."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from pixmill_imaging.domain.loader import Step
from pixmill_imaging.domain.metadata import NO_METADATA, Metadata
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.picture import Picture

#: What libwebp (by number) and libavif say; Pillow gives an error of the encoder.
_OUT_OF_MEMORY: Final = re.compile("encoding error [12]$|out of memory", re.IGNORECASE)
_WHITE: Final = (255, 255, 255)


@dataclass(frozen=True)
class Encoding:
    """``quality`` from 1 to 100, which lossless files and GIF have no use for. ``small`` spends more CPU on fewer
    bytes.
    """

    quality: int
    lossless: bool = False
    small: bool = False
    metadata: Metadata = NO_METADATA


@dataclass(frozen=True)
class Encoder:
    """A format that can be written. ``extension`` has no dot; ``max_side`` in pixels is the format's own limit."""

    media_type: str
    extension: str
    encode: Callable[[Picture, Encoding], bytes]
    max_side: int
    #: Does ``quality`` change anything?
    has_quality: bool = False
    has_alpha: bool = True
    #: Are all frames of an animation written, or only the first?
    has_frames: bool = True


def flattened(image: Canvas) -> Canvas:
    """On white, as a page would show it."""
    if image.mode != "RGBA":
        return image
    page = Image.new("RGB", image.size, _WHITE)
    page.paste(image, mask=image.getchannel("A"))
    return page


def is_opaque(image: Canvas) -> bool:
    """Is there nothing that can be seen through?"""
    return image.mode != "RGBA" or image.getchannel("A").getextrema() == (255, 255)


def saved_frames(picture: Picture, pillow_format: str, **options: object) -> bytes:
    """A still, or all frames; what follows a frame and looks the same may be put together with it."""
    first, *others = picture.frames
    if others:
        timing = {"duration": list(picture.durations), "loop": picture.loop}
        steps = [_Stepping(frame, picture.step) for frame in others]
        options = {**options, "save_all": True, "append_images": steps, **timing}
    return saved(first, pillow_format, **options)


class _Stepping(Image.Image):
    """A frame that calls ``step`` when Pillow's writers come to it: they look at all of a list first, and then go to
    the first frame of each image in it.
    """

    def __init__(self, image: Canvas, step: Step) -> None:
        super().__init__()
        self.__dict__.update(image.__dict__)
        self._step = step

    def seek(self, frame: int) -> None:
        self._step()
        super().seek(frame)


def saved(image: Canvas, pillow_format: str, **options: object) -> bytes:
    """Raises MemoryError also where Pillow calls it another error."""
    buffer = io.BytesIO()
    try:
        image.save(buffer, pillow_format, **options)
    except (OSError, RuntimeError, ValueError) as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError from error
        raise
    return buffer.getvalue()
