"""Ids and cursors as clients write them."""

import base64
import binascii
import uuid
from typing import Final

CURSOR_PATTERN: Final = "^[A-Za-z0-9_-]{21}[AQgw]$"
"""16 bytes in base64: the last character holds two bits."""


def parse_id(text: str) -> uuid.UUID | None:
    """Of the canonical form only; Python would take braces, ``urn:`` and no dashes as well."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def cursor_of(last: uuid.UUID) -> str:
    """Opaque: the last id of a page."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def parse_cursor(text: str) -> uuid.UUID | None:
    """None if we never made it."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return uuid.UUID(bytes=raw) if len(raw) == 16 else None
