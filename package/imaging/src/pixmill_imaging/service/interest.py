"""How this process finds what is interesting in a picture."""

from pixmill_imaging.pillow.entropy import entropy
from pixmill_imaging.pillow.smart import FindFocus


def focus_finder(loader_name: str) -> FindFocus:
    """Attention where libvips decodes, else entropy; so the name of the engine tells which of them it was."""
    if loader_name != "vips":
        return entropy
    from pixmill_imaging.vips.attention import attention

    return attention
