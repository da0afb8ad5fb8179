"""Small files of every kind that is read, to be damaged; and files that were hostile from the start."""

import struct
import zlib
from functools import cache

from PIL import Image, ImageCms

from pixmill_imaging.domain.structure import MOST_PARTS
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from tests.integration.imaging.moving import Stored, apng, ball, gif, saved

SIZE = (72, 54)


@cache
def good_files(size=SIZE):
    """By name, the format first: ``jpeg-progressive``. All can be decoded."""
    picture = photo(*size, seed=3)
    see_through = picture.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(size))
    deep = picture.convert("L").convert("I").point(lambda sample: sample * 257).convert("I;16")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames, cut_outs = ball(4, size), ball(4, size, see_through=True)
    return {
        "jpeg": encoded(picture, "JPEG"),
        "jpeg-progressive": jpeg(picture, progressive=True),
        "jpeg-camera": jpeg(picture, orientation=6, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
        "jpeg-cmyk": encoded(picture.convert("CMYK"), "JPEG"),
        "jpeg-restarts": encoded(picture, "JPEG", restart_marker_blocks=4),
        "jpeg-grey": encoded(picture.convert("L"), "JPEG"),
        "png": encoded(picture, "PNG"),
        "png-palette": encoded(see_through.quantize(64), "PNG"),
        "png-deep": encoded(deep, "PNG"),
        "png-alpha": encoded(see_through, "PNG", icc_profile=profile),
        "png-one-bit": encoded(picture.convert("1"), "PNG"),
        "png-animated": saved(frames, "PNG", [40] * 4, disposal=2, blend=1),
        "webp": encoded(picture, "WEBP"),
        "webp-lossless": encoded(see_through, "WEBP", lossless=True),
        "webp-alpha": encoded(see_through, "WEBP", icc_profile=profile),
        "webp-animated": saved(cut_outs, "WEBP", [40] * 4),
        "avif": encoded(picture, "AVIF", speed=10),
        "avif-alpha": encoded(see_through, "AVIF", speed=10, icc_profile=profile),
        "avif-animated": saved(frames, "AVIF", [40] * 4, speed=10),
        "gif": encoded(picture, "GIF"),
        "gif-alpha": encoded(see_through, "GIF"),
        "gif-animated": saved(frames, "GIF", [40] * 4),
        "tiff": encoded(picture, "TIFF"),
        "tiff-lzw": encoded(picture, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": encoded(see_through, "TIFF", compression="tiff_deflate"),
        "tiff-jpeg": encoded(picture, "TIFF", compression="jpeg"),
        "tiff-fax": encoded(picture.convert("1"), "TIFF", compression="group4"),
        "tiff-float": encoded(picture.convert("F"), "TIFF"),
        "tiff-cmyk": encoded(picture.convert("CMYK"), "TIFF"),
        "tiff-pages": saved(frames, "TIFF", ()),
        "bmp": encoded(picture, "BMP"),
        "bmp-palette": encoded(picture.quantize(16), "BMP"),
        "bmp-alpha": encoded(see_through, "BMP"),
    }


def png(width, height, rows=None):
    """A PNG that claims a size, over the given compressed rows."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20)) if rows is None else rows
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bilevel_bomb(side):
    """A whole PNG of one bit a pixel: 20000 a side are 50 MB of rows in 50 KB."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pack = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_claiming(width, height):
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def avif_claiming(width, height):
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def tiff_that_ends(order, entries):
    """Of 8x8 pixels with an orientation that there is not, whose directory is the end of the file, without the place
    of a next one. It says to have so many ``entries``; it has ten.
    """
    fields = [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (274, 9), (277, 1), (278, 8), (279, 64)]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + 64) + bytes(64)
    rows = (struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in fields)
    return head + struct.pack(f"{order}H", entries) + b"".join(rows)


def many_frames(count):
    """A GIF of 4x4 pixels in frames of one."""
    return gif((4, 4), [Stored((0, 0, 1, 1), b"\1")] * count, palette=bytes(768))


def in_many_parts(count):
    """By format: a file that can be decoded, in so many parts, all but a few of which are empty."""
    picture = photo(*SIZE, seed=3)
    whole, still, rows = (encoded(picture, name) for name in ("JPEG", "GIF", "PNG"))
    webp, avif = encoded(picture, "WEBP"), encoded(picture, "AVIF", speed=10)
    screen = 13 + (3 << (still[10] & 7) + 1)
    chunk = struct.pack(">I4sI", 0, b"noNe", zlib.crc32(b"noNe"))
    chunks = webp[12:] + b"NONE\0\0\0\0" * count
    return {
        "jpeg": whole[:2] + b"\xff\xfe\0\2" * count + whole[2:],
        "jpeg by padding": whole[:2] + b"\xff" * count + whole[2:],
        "gif": still[:screen] + b"!\xfe\1x\0" * count + still[screen:],
        "gif by one extension": still[:screen] + b"!\1" + b"\1x" * count + b"\0" + still[screen:],
        "png": rows[:33] + chunk * count + rows[33:],
        "png behind its rows": rows[:-12] + chunk * count + rows[-12:],
        "webp": b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks,
        "avif": avif + struct.pack(">I4s", 8, b"free") * count,
    }


@cache
def hostile_files():
    """By name: the code that each must fail with, or None where it must be made, and the bytes."""
    picture = photo(*SIZE, seed=3)
    whole = encoded(picture, "JPEG")
    still = encoded(picture, "GIF")
    odd_tiff = encoded(picture, "TIFF", tiffinfo={0x0112: 0})
    pieces = [(0, 0, Image.new("RGBA", (6, 6), (200, n, 0, 255)), 20, 0, False) for n in (10, 20)]
    archive = b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
    return {
        "empty": ("unsupported_format", b""),
        "text": ("unsupported_format", b"Hello, I am a text file.\n" * 40),
        "svg": ("unsupported_format", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
        "web page": ("unsupported_format", b"<!doctype html><title>404</title>"),
        "pdf": ("unsupported_format", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
        "archive": ("unsupported_format", archive),
        "magic and a script": ("undecodable", b"GIF89a/*" + b"=1;alert(1)//" * 40),
        "jpeg cut in half": ("undecodable", whole[: len(whole) // 2]),
        "jpeg of no width": ("undecodable", jpeg_claiming(0, 16)),
        "png of no size": ("undecodable", png(0, 0)),
        "png bomb by its header": ("too_many_pixels", png(20_000, 20_000)),
        "png bomb, complete": ("too_many_pixels", bilevel_bomb(20_000)),
        "jpeg bomb": ("too_many_pixels", jpeg_claiming(65_000, 65_000)),
        "gif of many frames": ("too_many_frames", many_frames(20_000)),
        "apng that claims a billion frames": ("too_many_frames", apng((6, 6), pieces, claimed=10**9)),
        "apng that has fewer frames": ("undecodable", apng((6, 6), pieces, claimed=400)),
        "png and its rows end early": ("undecodable", png(64, 64, zlib.compress(bytes(100)))),
        "jpeg with a broken profile": (None, encoded(picture, "JPEG", icc_profile=b"no profile" * 30)),
        "jpeg and an archive": (None, whole + archive),
        "gif and a script": (None, still + b"/*;alert(1)*/"),
        "jpeg with orientation 0": (None, jpeg(picture, orientation=0)),
        "jpeg with orientation 9": (None, jpeg(picture, orientation=9)),
        **{
            f"tiff with {name} {value}": (None, encoded(picture, "TIFF", tiffinfo={tag: value}))
            for name, tag, values in (("orientation", 0x0112, (0, 9)), ("unit", 0x0128, (0, 4, 5)))
            for value in values
        },
        **{f"parts without end: {name}": ("undecodable", data) for name, data in in_many_parts(MOST_PARTS + 1).items()},
        **{f"parts: {name}": (None, data) for name, data in in_many_parts(1_000).items()},
        **{f"tiff that ends with its directory {order}": (None, tiff_that_ends(order, 10)) for order in "<>"},
        # As files are found in storage that is given out in blocks.
        **{
            f"{name} and zeros": (None, encoded(picture, name.upper(), **options) + bytes(2_000_000))
            for name, options in {"png": {}, "webp": {}, "jpeg": {}, "gif": {}, "avif": {"speed": 10}}.items()
        },
        "tiff with orientation 0, cut in half": ("undecodable", odd_tiff[: len(odd_tiff) // 2]),
    }
