"""What goes along with pixels, as the blocks that files hold."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metadata:
    """Blocks without the wrapping of any container; empty where there is none.

    ``exif`` begins with its TIFF header, ``xmp`` is a packet in UTF-8, ``iptc`` are the records of IIM.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    comment: bytes = b""


NO_METADATA = Metadata()
