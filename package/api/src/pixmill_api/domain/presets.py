"""Names of presets as clients write them: ``web``, or ``web@3`` for one version of it."""

import re
from typing import Final, NamedTuple

NAME_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{0,63}"
REFERENCE_PATTERN: Final = rf"{NAME_PATTERN}(@(0|[1-9][0-9]{{0,8}}))?"
"""Of a version there are at most nine digits: what Postgres keeps as an integer."""
MAX_VERSION: Final = 999_999_999
MAX_DESCRIPTION: Final = 500
"""Characters."""

_FIRST: Final = "3[0-9]|6[1-9a-f]|7[0-9a]"
CURSOR_PATTERN: Final = f"^({_FIRST})({_FIRST}|2d|5f){{0,63}}$"
"""A name in hexadecimal digits."""

_NAME: Final = re.compile(NAME_PATTERN)
_REFERENCE: Final = re.compile(REFERENCE_PATTERN)
_CURSOR: Final = re.compile(CURSOR_PATTERN)


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
    return name.encode().hex()


def parse_cursor(text: str) -> str | None:
    """The name that the page comes after; None if we never made it."""
    return bytes.fromhex(text).decode("ascii") if _CURSOR.fullmatch(text) else None
