"""Structural similarity (Wang and others, 2004) of luma, over blocks of 8x8 pixels, at the speed of C."""

from typing import Final

from PIL import Image, ImageMath

_BLOCK: Final = 8
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2


def ssim(one: Image.Image, other: Image.Image) -> float:
    """The mean over all blocks, 1 for equal pictures; ValueError if the sizes differ."""
    if one.size != other.size:
        raise ValueError(f"sizes differ: {one.size} and {other.size}")
    x, y = one.convert("L").convert("F"), other.convert("L").convert("F")
    mean_x, mean_y = _block_means(x), _block_means(y)
    var_x = _minus(_block_means(_times(x, x)), _times(mean_x, mean_x))
    var_y = _minus(_block_means(_times(y, y)), _times(mean_y, mean_y))
    covariance = _minus(_block_means(_times(x, y)), _times(mean_x, mean_y))
    index = ImageMath.lambda_eval(
        lambda of: (
            (2 * of["x"] * of["y"] + _C1)
            * (2 * of["covariance"] + _C2)
            / ((of["x"] * of["x"] + of["y"] * of["y"] + _C1) * (of["var_x"] + of["var_y"] + _C2))
        ),
        x=mean_x,
        y=mean_y,
        var_x=var_x,
        var_y=var_y,
        covariance=covariance,
    )
    mean = index.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return float(mean)


def _block_means(image: Image.Image) -> Image.Image:
    size = (max(1, image.width // _BLOCK), max(1, image.height // _BLOCK))
    return image.resize(size, Image.Resampling.BOX)


def _times(one: Image.Image, other: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] * of["other"], one=one, other=other)
    return product


def _minus(one: Image.Image, other: Image.Image) -> Image.Image:
    difference: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] - of["other"], one=one, other=other)
    return difference
