"""What the bytes are, by their first bytes. What a header, a name or a form says is never believed."""

import codecs
from enum import StrEnum
from typing import Final

from pixmill_imaging.domain.jpeg import unread_coding
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError


class SourceFormat(StrEnum):
    """What a loader takes."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"
    BMP = "bmp"
    #: With the extra ``heif`` only.
    HEIC = "heic"


_MAGIC: Final = (
    (b"\xff\xd8\xff", SourceFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", SourceFormat.PNG),
    (b"GIF87a", SourceFormat.GIF),
    (b"GIF89a", SourceFormat.GIF),
    (b"II*\x00", SourceFormat.TIFF),
    (b"MM\x00*", SourceFormat.TIFF),
)
_AVIF_BRANDS: Final = (b"avif", b"avis")
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
#: The sizes of a BMP's information header that exist; "BM" alone begins many a text.
_BMP_HEADERS: Final = (12, 40, 52, 56, 64, 108, 124)
_TAKEN: Final = "Send JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP."


def sniff(data: bytes) -> SourceFormat:
    """The format of an image file, or PermanentError ``unsupported_format`` that says what came instead."""
    found = _recognise(data)
    if found is None:
        raise PermanentError(ErrorCode.UNSUPPORTED_FORMAT, _refusal(data))
    coding = unread_coding(data) if found is SourceFormat.JPEG else None
    if coding is not None:
        raise without_decoder(f"JPEG that {coding}")
    return found


def without_decoder(words: str) -> PermanentError:
    """The error for a format that is known, and whose decoder is not installed."""
    return PermanentError(ErrorCode.UNSUPPORTED_FORMAT, f"The source is a {words}, which is not decoded here. {_TAKEN}")


def _recognise(data: bytes) -> SourceFormat | None:
    for magic, source_format in _MAGIC:
        if data.startswith(magic):
            return source_format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return SourceFormat.WEBP
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return SourceFormat.BMP
    if _has_brand(data, _AVIF_BRANDS):
        return SourceFormat.AVIF
    return SourceFormat.HEIC if _has_brand(data, _HEIC_BRANDS) else None


def _has_brand(data: bytes, brands: tuple[bytes, ...]) -> bool:
    """Is it an ISO media file whose major or compatible brands name one of ``brands``?"""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    found = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    return any(brand in brands for brand in found)


def _refusal(data: bytes) -> str:
    if not data:
        return "The source is empty: it has no bytes at all."
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    candidates = (
        (_is_svg(head), "The source is an SVG, a document that can hold scripts and links, not pixels."),
        (head.startswith(b"%pdf-"), "The source is a PDF document, not an image."),
        (head.startswith((b"<!doctype html", b"<html")), "The source is a web page, not an image."),
        (_is_text(data[:1024]), "The source is text, not an image."),
        (True, "The source is not in a format that is read here."),
    )
    return f"{next(sentence for holds, sentence in candidates if holds)} {_TAKEN}"


def _is_svg(head: bytes) -> bool:
    return head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in head)


def _is_text(head: bytes) -> bool:
    try:
        # Not final: the last character may be cut in half.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not any(ord(character) < 32 and character not in "\t\n\f\r" for character in text)
