"""ThumbHash (https://evanw.github.io/thumbhash/): 25 bytes that a client shows, blurred, while it loads the picture.

A cosine transform of brightness, two colour differences and alpha, of which the lowest frequencies are kept.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, floor, pi
from operator import mul
from typing import Final, NamedTuple

_MOST_SIDE: Final = 100
_UNITS: Final = [sample / 255 for sample in range(256)]
#: A wave below is what floating point leaves of none.
_NOTHING: Final = 1e-9


class _Waves(NamedTuple):
    """Of one channel: its mean, its other frequencies scaled to 0..1, and that scale."""

    mean: float
    others: list[float]
    scale: float


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Of rows of RGBA samples, at most 100 pixels a side; the picture needs no more than some 30."""
    if max(width, height) > _MOST_SIDE:
        raise ValueError(f"{width}x{height} is larger than {_MOST_SIDE}x{_MOST_SIDE}")
    lightness, yellow_blue, red_green, alpha = _channels(rgba)
    has_alpha = min(alpha) < 1
    most, longest = 5 if has_alpha else 7, max(width, height)
    columns = max(1, _rounded(most * width / longest))
    rows = max(1, _rounded(most * height / longest))
    light = _waves(lightness, width, height, max(3, columns), max(3, rows))
    colours = [_waves(channel, width, height, 3, 3) for channel in (yellow_blue, red_green)]
    veil = [_waves(alpha, width, height, 5, 5)] if has_alpha else []
    return _packed(light, colours, veil, rows if width > height else columns, width > height)


def _channels(rgba: bytes) -> tuple[list[float], list[float], list[float], list[float]]:
    """Lightness, yellow against blue, red against green, alpha; what is seen through lets the mean colour appear."""
    alpha = [_UNITS[sample] for sample in rgba[3::4]]
    planes = [[_UNITS[sample] for sample in rgba[at::4]] for at in range(3)]
    if min(alpha) < 1:
        planes = [_over_its_mean(plane, alpha) for plane in planes]
    colours = list(zip(*planes, strict=True))
    return (
        [(red + green + blue) / 3 for red, green, blue in colours],
        [(red + green) / 2 - blue for red, green, blue in colours],
        [red - green for red, green, _ in colours],
        alpha,
    )


def _over_its_mean(plane: list[float], alpha: list[float]) -> list[float]:
    weighted = list(map(mul, plane, alpha))
    mean = sum(weighted) / (sum(alpha) or 1)
    return [sample + mean * (1 - a) for sample, a in zip(weighted, alpha, strict=True)]


def _waves(channel: Sequence[float], width: int, height: int, columns: int, rows: int) -> _Waves:
    """First over each row, then over the sums: the same as over all pixels at once, in a tenth of the time."""
    across = [_cosines(width, frequency) for frequency in range(columns)]
    lines = [channel[start : start + width] for start in range(0, width * height, width)]
    sums = [[sum(map(mul, line, wave)) for line in lines] for wave in across]
    found = [
        sum(map(mul, sums[x], _cosines(height, y))) / (width * height)
        for y in range(rows)
        # The triangle of the low frequencies.
        for x in range(columns)
        if x * rows < columns * (rows - y)
    ]
    mean, *others = found
    scale = max(abs(other) for other in others)
    if scale < _NOTHING:
        return _Waves(mean, [0.0] * len(others), 0)
    return _Waves(mean, [0.5 + 0.5 / scale * other for other in others], scale)


@lru_cache(maxsize=512)
def _cosines(length: int, frequency: int) -> list[float]:
    return [cos(pi / length * frequency * (at + 0.5)) for at in range(length)]


def _packed(light: _Waves, colours: list[_Waves], veil: list[_Waves], shorter: int, landscape: bool) -> bytes:
    yellow_blue, red_green = colours
    head = (
        _rounded(63 * light.mean)
        | _rounded(31.5 + 31.5 * yellow_blue.mean) << 6
        | _rounded(31.5 + 31.5 * red_green.mean) << 12
        | _rounded(31 * light.scale) << 18
        | bool(veil) << 23
    )
    shape = shorter | _rounded(63 * yellow_blue.scale) << 3 | _rounded(63 * red_green.scale) << 9 | landscape << 15
    alphas = bytes(_rounded(15 * waves.mean) | _rounded(15 * waves.scale) << 4 for waves in veil)
    halves = [_rounded(15 * other) for waves in (light, *colours, *veil) for other in waves.others]
    halves += [0] * (len(halves) % 2)
    pairs = bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))
    return head.to_bytes(3, "little") + shape.to_bytes(2, "little") + alphas + pairs


def _rounded(value: float) -> int:
    """Half up, as the reference in JavaScript does."""
    return floor(value + 0.5)
