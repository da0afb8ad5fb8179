"""Sides of an output that its recipe decides, whatever the source, and that its format cannot have."""

from collections.abc import Sequence

from pixmill_shared.domain.recipe.limits import MAX_WEBP_SIDE
from pixmill_shared.domain.recipe.model import Output, OutputFormat
from pixmill_shared.domain.recipe.operations import Crop, Operation, Resize, ResizeMode, Rotate, Trim


def too_long(output: Output) -> list[tuple[int, str]]:
    """The place of the operation that decides, and ``width`` or ``height``. WebP's limit is below that of recipes."""
    if output.format is not OutputFormat.WEBP:
        return []
    place = _deciding(output.operations)
    if place is None:
        return []
    step = output.operations[place]
    return [(place, side) for side in ("width", "height") if getattr(step, side) > MAX_WEBP_SIDE]


def _deciding(operations: Sequence[Operation]) -> int | None:
    """Where the last step is that gives a size, if it gives the same one to any picture."""
    for place, step in reversed(list(enumerate(operations))):
        if isinstance(step, Crop | Rotate | Trim):
            return None
        if isinstance(step, Resize):
            covers = step.mode is ResizeMode.FILL and step.enlarge
            return place if covers or step.mode in (ResizeMode.EXACT, ResizeMode.PAD) else None
    return None
