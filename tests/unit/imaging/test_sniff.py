"""Formats are told by their bytes, and what is refused is named."""

import pytest

from pixmill_imaging.domain.sniff import SourceFormat, sniff
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError


@pytest.mark.parametrize(
    ("head", "source_format"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", SourceFormat.JPEG),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", SourceFormat.PNG),
        (b"GIF87a", SourceFormat.GIF),
        (b"GIF89a", SourceFormat.GIF),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", SourceFormat.WEBP),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1miaf", SourceFormat.AVIF),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", SourceFormat.AVIF),
        (b"II*\x00\x08\x00\x00\x00", SourceFormat.TIFF),
        (b"MM\x00*\x00\x00\x00\x08", SourceFormat.TIFF),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", SourceFormat.HEIC),
        (b"BM" + bytes(12) + b"\x28\x00\x00\x00", SourceFormat.BMP),
    ],
)
def test_format_is_recognised(head, source_format):
    assert sniff(head) is source_format


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello, this is a text file\n", "text"),
        (b"BMW is a car", "text"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"  <svg width='1'/>", "SVG"),
        (b"%PDF-1.7\n%\xe2", "PDF"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "not in a format"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "not in a format"),
        (b"\x7fELF\x02\x01\x01\x00", "not in a format"),
        (b"\xff\xd8", "not in a format"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(data, word):
    with pytest.raises(PermanentError) as caught:
        sniff(data)
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
    assert word in caught.value.detail
