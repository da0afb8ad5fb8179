"""Scale; cut away what a fill leaves over; put on a page what is to be padded."""

from pixmill_imaging.domain.anchoring import anchored
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.placement import placement, result_size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.paint import able_to_show, page
from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import Resize


def resize(view: View, step: Resize) -> View:
    """The size is computed from the view's, so it is the same at whatever size the source was loaded."""
    box, size = placement(view.size, step)
    scaled, whole = view.resampled(box, size), result_size(view.size, step)
    return view.showing(scaled if whole == size else scaled.each(lambda frame: _padded(frame, step, whole)))


def _padded(image: Canvas, step: Resize, whole: Size) -> Canvas:
    """What is transparent in the picture stays so: the background is beside it, not behind."""
    shown = able_to_show(image, step.background)
    padded = page(shown.mode, whole, step.background)
    corner = anchored(whole, Size(*shown.size), step.anchor)
    padded.paste(shown, (int(corner.left), int(corner.upper)))
    return padded
