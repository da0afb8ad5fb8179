"""Which keys every store can hold, checked before any I/O: what one store takes and another refuses, or reads as a
different key, would be found only by whoever changes the storage."""

import re
from typing import Final

from pixmill_shared.storage.store import InvalidKey

MAX_KEY: Final = 900
"""Bytes of a key in UTF-8: S3 takes 1024, of which the prefix in PIXMILL_STORAGE_URL needs some."""
MAX_SEGMENT: Final = 200
"""Bytes between two slashes: file systems take 255, of which the name of an unfinished file needs some."""

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\]")
#: How obstore names a file that is still being written; it hides such names and refuses to write them.
_UNFINISHED: Final = re.compile(r"#\d+$")


def check_key(key: str) -> str:
    """The key, or InvalidKey."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidKey("a storage key is not Unicode text") from None
    if not key or size > MAX_KEY:
        raise InvalidKey(f"a storage key has {size} bytes, not 1 to {MAX_KEY}")
    if _UNSAFE.search(key):
        raise InvalidKey("a storage key holds a backslash or a control character")
    for segment in key.split("/"):
        _check_segment(segment)
    return key


def is_unfinished(segment: str) -> bool:
    """Whether a file of that name is still being written, or was when its writer was killed."""
    return _UNFINISHED.search(segment) is not None


def check_prefix(prefix: str) -> str:
    """As a key, or empty; a slash may end it."""
    return check_key(prefix.removesuffix("/")) if prefix else prefix


def _check_segment(segment: str) -> None:
    if segment in ("", ".", ".."):
        raise InvalidKey("a storage key has an empty segment, . or .. in it")
    if len(segment.encode()) > MAX_SEGMENT:
        raise InvalidKey(f"a storage key has a segment of more than {MAX_SEGMENT} bytes")
    if is_unfinished(segment):
        raise InvalidKey("a segment of a storage key ends in # and digits")
