"""Which declared content types an upload may have. What the bytes really are is judged by the worker."""

import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
ZIP: Final = "application/zip"
JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

_IMAGE: Final = re.compile(r"image/[a-z0-9!#$&^_.+-]{1,64}")
"""A registrable name (RFC 6838), and not a long one."""


def essence(content_type: str | None) -> str:
    """``image/jpeg`` of ``Image/JPEG; a=b``; empty for nothing."""
    return (content_type or "").partition(";")[0].strip().lower()


def upload_type(content_type: str | None) -> str | None:
    """The type to note for an upload that declares ``content_type``; None if it is not taken."""
    declared = essence(content_type) or UNKNOWN
    return declared if declared == UNKNOWN or _IMAGE.fullmatch(declared) else None
