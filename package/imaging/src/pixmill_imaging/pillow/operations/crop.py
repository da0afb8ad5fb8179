"""Keep a part."""

from pixmill_imaging.domain.placement import crop_box
from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import Crop


def crop(view: View, step: Crop) -> View:
    """Raises PermanentError ``recipe_mismatch`` if there is nothing of the picture in it."""
    return view.cropped(crop_box(view.size, step))
