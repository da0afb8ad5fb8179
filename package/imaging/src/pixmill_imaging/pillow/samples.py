"""Changes that look at one sample at a time: a table of 256 entries, one pass over the picture."""

from collections.abc import Callable

from pixmill_imaging.pillow.canvas import Canvas


def on_samples(image: Canvas, change: Callable[[float], float]) -> Canvas:
    """``change`` takes and gives samples from 0 to 255, of every colour channel; alpha stays as it is."""
    table = [_sample(change(value)) for value in range(256)]
    if image.mode == "RGBA":
        return image.point(table * 3 + list(range(256)))
    return image.point(table * len(image.getbands()))


def _sample(value: float) -> int:
    return min(255, max(0, int(value + 0.5)))
