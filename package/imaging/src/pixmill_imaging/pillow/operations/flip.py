"""Mirror."""

from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import Direction, Flip


def flip(view: View, step: Flip) -> View:
    return view.mirrored(sideways=step.direction is Direction.HORIZONTAL)
