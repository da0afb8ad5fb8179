"""How much an encoded file still looks like the picture that it was made of."""

import io

from PIL import Image

from pixmill_imaging.pillow.encoders.encoding import flattened
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.ssim import ssim


def likeness(picture: Picture, data: bytes) -> float:
    """Structural similarity of the first frame on white, 1 for the same; ``data`` is a file of our own making."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        shown = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return ssim(flattened(picture.frames[0]), flattened(shown))
