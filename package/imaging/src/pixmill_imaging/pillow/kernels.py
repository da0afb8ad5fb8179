"""The work on pixels that libvips may do instead: what it is when Pillow does all of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.entropy import entropy
from pixmill_imaging.pillow.resampling import Resample, lanczos
from pixmill_imaging.pillow.smart import FindFocus

#: What an operation does to a canvas of full size, given the step and that size.
Change = Callable[[Canvas, Any, Size], Canvas]


@dataclass(frozen=True)
class Kernels:
    """``twins`` stand in for operations, by the type of the step; what is not there is Pillow's."""

    find_focus: FindFocus = entropy
    resample: Resample = lanczos
    twins: Mapping[type, Change] = field(default_factory=dict)
