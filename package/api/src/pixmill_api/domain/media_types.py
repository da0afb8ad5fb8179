"""Which declared content types an upload may have. What the bytes really are is judged by the worker."""

from typing import Final

UNKNOWN: Final = "application/octet-stream"
ZIP: Final = "application/zip"
JSON: Final = "application/json"
FORM: Final = "multipart/form-data"


def essence(content_type: str | None) -> str:
    """``image/jpeg`` of ``Image/JPEG; a=b``; empty for nothing."""
    return (content_type or "").partition(";")[0].strip().lower()


def upload_type(content_type: str | None) -> str | None:
    """The type to note for an upload that declares ``content_type``; None if it is not taken."""
    declared = essence(content_type) or UNKNOWN
    subtype = declared.removeprefix("image/")
    is_image = declared.startswith("image/") and subtype.isascii() and 0 < len(subtype) <= 64 and subtype.isprintable()
    return declared if is_image or declared == UNKNOWN else None
