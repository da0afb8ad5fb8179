"""tus 1.0.0, as far as it is about headers: what they say, or a ValueError with a sentence."""

import base64
import binascii
import hashlib
import re
from typing import Final, NamedTuple

VERSION: Final = "1.0.0"
EXTENSIONS: Final = ("creation", "creation-with-upload", "termination", "checksum", "expiration")
ALGORITHMS: Final = ("sha1", "sha256", "sha512")
OFFSET_STREAM: Final = "application/offset+octet-stream"
METHODS: Final = ("HEAD", "PATCH", "DELETE", "OPTIONS", "POST")
"""Those that ``X-HTTP-Method-Override`` may name."""

_BASE64: Final = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_PAIR: Final = rf"[!-+\--~]+(?: {_BASE64})?"
METADATA: Final = rf"(?:{_PAIR}(?:, *{_PAIR})*)?"
CHECKSUM: Final = "sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=|sha512 [A-Za-z0-9+/]{86}=="

NAMES: Final = ("filename", "name")
MEDIA_TYPES: Final = ("filetype", "type")
"""Keys of ``Upload-Metadata``, as tus-js-client and Uppy use them."""
MAX_METADATA: Final = 4_096
"""Characters of ``Upload-Metadata``."""
MAX_NAME: Final = 255

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_METADATA: Final = re.compile(METADATA)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Checksum(NamedTuple):
    """``digest`` is that of the body of one request."""

    algorithm: str
    digest: bytes


def read_number(name: str, text: str | None) -> int:
    """Of ``Upload-Length`` or ``Upload-Offset``."""
    if text is None:
        raise ValueError(f"{name} is missing.")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a number of bytes, of at most 18 digits.")
    return int(text)


def read_metadata(text: str) -> dict[str, bytes]:
    """Of ``Upload-Metadata``: keys of the client's own, each once, with a value or nothing."""
    if not _METADATA.fullmatch(text) or len(text) > MAX_METADATA:
        raise ValueError(
            "Upload-Metadata must be pairs of a key in ASCII and a value in base64, with commas between them, "
            f"and have {MAX_METADATA} characters at most."
        )
    found: dict[str, bytes] = {}
    for pair in text.split(",") if text else ():
        key, _, value = pair.strip(" ").partition(" ")
        if key in found:
            raise ValueError(f"Upload-Metadata has {key} more than once.")
        found[key] = base64.b64decode(value)
    return found


def media_type_of(metadata: dict[str, bytes]) -> str:
    """What the client says that it uploads, empty if nothing; the name of its file is looked at, and of no use."""
    for key in NAMES:
        if not _is_name(_text(key, metadata)):
            raise ValueError(f"The {key} in Upload-Metadata is no plain name of at most {MAX_NAME} characters.")
    return next((text for key in MEDIA_TYPES if (text := _text(key, metadata))), "")


def read_checksum(text: str) -> Checksum:
    """Of ``Upload-Checksum``."""
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"Upload-Checksum must begin with one of {', '.join(ALGORITHMS)}.")
    digest = _decoded(encoded)
    if digest is None or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ValueError(f"Upload-Checksum has no {algorithm} digest in base64.")
    return Checksum(algorithm, digest)


def _text(key: str, metadata: dict[str, bytes]) -> str:
    try:
        text = metadata.get(key, b"").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"The {key} in Upload-Metadata is not UTF-8.") from None
    if _CONTROL.search(text):
        raise ValueError(f"The {key} in Upload-Metadata has a control character in it.")
    return text


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return None


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and text not in (".", "..") and "/" not in text and "\\" not in text
