"""Which library does what to the pixels in this process."""

from pixmill_imaging.pillow.kernels import Kernels


def kernels_of(loader_name: str) -> Kernels:
    """libvips' where it decodes, else Pillow's; so the name of the engine tells which of them it was."""
    if loader_name != "vips":
        return Kernels()
    from pixmill_imaging.vips.kernels import VIPS_KERNELS

    return VIPS_KERNELS
