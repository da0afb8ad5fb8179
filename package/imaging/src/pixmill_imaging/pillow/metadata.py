"""What a source's file says beside its pixels, read without decoding them, and what an output takes over of it.

The same for every loader: the bytes are looked at here, whoever decodes them.
"""

import contextlib
import io
import warnings
from typing import Final

from PIL import ExifTags, Image

from pixmill_imaging.domain import exif, iptc, xmp
from pixmill_imaging.domain.metadata import NO_METADATA, Metadata
from pixmill_imaging.domain.png import text_blocks
from pixmill_imaging.domain.rights import Rights, merged
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.decoding import DECODER_ERRORS
from pixmill_imaging.pillow.loader import PILLOW_FORMATS
from pixmill_shared.domain.recipe import MetadataPolicy

_EXIF_PREFIX: Final = b"Exif\0\0"
_IPTC_RESOURCE: Final = 0x0404
_TIFF_XMP: Final = 700
_TIFF_IPTC: Final = 33_723
_GIF_XMP: Final = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END: Final = b"\x01\xff\xfe\xfd"

#: Of a TIFF's own tags those that describe the picture and not the file.
_DESCRIPTIVE: Final = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)


def kept(data: bytes, source_format: SourceFormat, policy: MetadataPolicy) -> Metadata:
    """Of a source whose header has been read. What cannot be read is not there: metadata fails no job."""
    if policy is MetadataPolicy.STRIP:
        return NO_METADATA
    found, texts = NO_METADATA, Rights()
    with warnings.catch_warnings(), contextlib.suppress(*DECODER_ERRORS):
        warnings.simplefilter("ignore")
        found, texts = _found(data, source_format)
    if policy is MetadataPolicy.KEEP:
        return Metadata(exif.settled(found.exif), xmp.settled(found.xmp), found.iptc, found.comment)
    said = (xmp.rights_of(found.xmp), iptc.rights_of(found.iptc), exif.rights_of(found.exif), texts)
    rights = merged(*said)
    return Metadata(exif=exif.written(rights), xmp=xmp.written(rights))


def _found(data: bytes, source_format: SourceFormat) -> tuple[Metadata, Rights]:
    """The blocks of the file, and what it says of rights in a way of its own."""
    if source_format is SourceFormat.PNG:
        blocks = text_blocks(data)
        rights = Rights(creator=blocks.texts.get("Author", ""), notice=blocks.texts.get("Copyright", ""))
        return Metadata(blocks.exif, blocks.xmp, comment=blocks.texts.get("Comment", "").encode()), rights
    with Image.open(io.BytesIO(data), formats=(PILLOW_FORMATS[source_format],)) as image:
        if source_format is SourceFormat.TIFF:
            return Metadata(_tiff_exif(image), exif.field(data, _TIFF_XMP), exif.field(data, _TIFF_IPTC)), Rights()
        info = image.info
    packet = _gif_xmp(data) if source_format is SourceFormat.GIF else _bytes(info.get("xmp"))
    photoshop = info.get("photoshop")
    records = _bytes(photoshop.get(_IPTC_RESOURCE)) if isinstance(photoshop, dict) else b""
    block = _bytes(info.get("exif")).removeprefix(_EXIF_PREFIX)
    return Metadata(block, packet, records, _bytes(info.get("comment"))), Rights()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _gif_xmp(data: bytes) -> bytes:
    _, start, rest = data.partition(_GIF_XMP)
    packet, end, _ = rest.partition(_GIF_XMP_END)
    return packet if start and end else b""


def _tiff_exif(image: Image.Image) -> bytes:
    source, described = image.getexif(), Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in source:
            described[tag] = source[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        fields = source.get_ifd(directory)
        if fields:
            described.get_ifd(directory).update(fields)
            described[directory] = fields
    return described.tobytes().removeprefix(_EXIF_PREFIX) if described else b""
