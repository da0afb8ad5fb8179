"""What libvips does faster than Pillow to pixels that are there already, though they have to cross over and back."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import pyvips

from pixmill_imaging.domain.geometry import Box, Size
from pixmill_imaging.pillow.canvas import Canvas, canvas_from_weighted, weighted_pixels
from pixmill_imaging.pillow.kernels import Kernels
from pixmill_imaging.pillow.operations.blur import blur as pillow_blur
from pixmill_imaging.pillow.resampling import lanczos
from pixmill_imaging.vips import library  # noqa: F401 - configures the process
from pixmill_imaging.vips.attention import attention
from pixmill_shared.domain.recipe import Blur

#: From here on Pillow reduces by box means first, and is as fast.
_PILLOW_FROM: Final = 4

#: Beyond, the mask grows long, and Pillow's three box blurs cost the same for any sigma.
_MOST_SIGMA: Final = 10.0
#: What libvips' fixed-point weights are multiples of, where the largest is more than a half: 1/64; more than a quarter,
#: half of that; and so on. ``gaussblur`` rounds to them carelessly: a sigma of 0.5 makes a picture 4 levels darker.
_UNITS: Final = 64


def resample(image: Canvas, part: Box, size: Size) -> Canvas:
    """See ``pillow.resampling.lanczos``; the kernel is the same."""
    across, down = image.width / size.width, image.height / size.height
    if part != Box.whole(Size(*image.size)) or not 1 <= min(across, down) <= max(across, down) < _PILLOW_FROM:
        return lanczos(image, part, size)
    return _changed(image, lambda pixels: pixels.resize(1 / across, vscale=1 / down))


def blur(image: Canvas, step: Blur, stands_for: Size) -> Canvas:
    """See ``pillow.operations.blur``; up to its largest sigma nearer to a Gaussian than that."""
    if step.sigma > _MOST_SIGMA:
        return pillow_blur(image, step, stands_for)
    weights = _gaussian(step.sigma)
    mask = pyvips.Image.new_from_array([weights], scale=sum(weights))
    return _changed(image, lambda pixels: pixels.convsep(mask, precision="integer"))


def _changed(image: Canvas, change: Callable[["pyvips.Image"], "pyvips.Image"]) -> Canvas:
    pixels, bands = weighted_pixels(image)
    changed = change(pyvips.Image.new_from_memory(pixels, image.width, image.height, bands, "uchar"))
    return canvas_from_weighted(changed.write_to_memory(), changed.width, changed.height, bands)


@lru_cache(maxsize=64)
def _gaussian(sigma: float) -> list[int]:
    """Weights that libvips holds exactly; those that round to nothing are left out."""
    reach = math.ceil(3 * sigma)
    curve = [math.exp(-(at * at) / (2 * sigma * sigma)) for at in range(reach + 1)]
    total = 2 * sum(curve) - curve[0]
    whole = _UNITS * 2 ** math.floor(math.log2(total))
    arm = [weight for weight in (round(whole * part / total) for part in curve[1:]) if weight]
    return [*reversed(arm), whole - 2 * sum(arm), *arm]


VIPS_KERNELS: Final = Kernels(attention, resample, {Blur: blur})
