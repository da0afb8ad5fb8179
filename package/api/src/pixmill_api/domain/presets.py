"""Names of presets as clients write them: ``web``, or ``web@3`` for one version of it."""

import base64
import binascii
import re
from typing import Final, NamedTuple

NAME_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{0,63}"
REFERENCE_PATTERN: Final = rf"{NAME_PATTERN}(@(0|[1-9][0-9]{{0,8}}))?"
"""Of a version there are at most nine digits: what Postgres keeps as an integer."""
MAX_VERSION: Final = 999_999_999
MAX_DESCRIPTION: Final = 500
"""Characters."""

CURSOR_PATTERN: Final = r"^[A-Za-z0-9_-]{2,86}$"

_NAME: Final = re.compile(NAME_PATTERN)
_REFERENCE: Final = re.compile(REFERENCE_PATTERN)


class Reference(NamedTuple):
    """``version`` None: the newest. 0: the built-in one."""

    name: str
    version: int | None


def parse_reference(text: str) -> Reference | None:
    """None if it is not written like one."""
    if not _REFERENCE.fullmatch(text):
        return None
    name, at, version = text.partition("@")
    return Reference(name, int(version) if at else None)


def cursor_after(name: str) -> str:
    """Opaque: the last name of a page."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def parse_cursor(text: str) -> str | None:
    """The name that the page comes after; None if we never made it."""
    try:
        name = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except (ValueError, binascii.Error):
        return None
    return name if _NAME.fullmatch(name) and cursor_after(name) == text else None
