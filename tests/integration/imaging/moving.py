"""Animations made by hand: partial frames, every disposal, palettes of their own; and what a browser shows of them."""

import io
import random
import struct
import zlib
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFilter

from pixmill_imaging.testing.pictures import photo

TRANSPARENT = 7
KEEP, CLEAR, RESTORE = 1, 2, 3


@dataclass(frozen=True)
class Stored:
    """A frame of a GIF as it is stored: ``box`` is left, upper, width, height; ``delay`` in hundredths of a second."""

    box: tuple[int, int, int, int]
    pixels: bytes
    disposal: int = KEEP
    delay: int = 10
    has_holes: bool = False
    palette: bytes | None = None


def gif(screen, frames, loop=None, palette=None, trailer=b";"):
    """The bytes; ``palette`` is the global one, ``loop`` the number of repeats in the file."""
    out = [struct.pack("<6sHHBBB", b"GIF89a", *screen, 0xF7 if palette else 0x70, 3, 0) + (palette or b"")]
    if loop is not None:
        out.append(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\0")
    for frame in frames:
        flags = frame.disposal << 2 | frame.has_holes
        out.append(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, flags, frame.delay, TRANSPARENT, 0))
        place = struct.pack("<BHHHHB", 0x2C, *frame.box, 0x87 if frame.palette else 0)
        out.append(place + (frame.palette or b"") + packed(frame.pixels))
    return b"".join((*out, trailer))


@cache
def packed(pixels):
    """LZW that never compresses: a clear code before any code could grow beyond 9 bits."""
    codes = [code for at in range(0, len(pixels), 100) for code in (256, *pixels[at : at + 100])]
    bits = sum(code << 9 * at for at, code in enumerate((*codes, 257)))
    data = bits.to_bytes((9 * len(codes) + 16) // 8, "little")
    runs = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"\x08" + b"".join(bytes([len(run)]) + run for run in runs) + b"\0"


def shown(screen, frames, palette=None):
    """What is seen at each frame, as lists of RGBA rows. Written pixel by pixel, so that nobody has to trust Pillow."""
    width, height = screen
    canvas = [[(0, 0, 0, 0)] * width for _ in range(height)]
    for frame in frames:
        before = [list(row) for row in canvas]
        left, upper, columns, rows = frame.box
        colours = frame.palette or palette
        for y in range(rows):
            for x in range(columns):
                index = frame.pixels[y * columns + x]
                if not (frame.has_holes and index == TRANSPARENT) and upper + y < height and left + x < width:
                    canvas[upper + y][left + x] = (*colours[index * 3 : index * 3 + 3], 255)
        yield [list(row) for row in canvas]
        if frame.disposal == RESTORE:
            canvas = before
        elif frame.disposal == CLEAR:
            for y in range(upper, min(upper + rows, height)):
                for x in range(left, min(left + columns, width)):
                    canvas[y][x] = (0, 0, 0, 0)


def rows_of(image):
    """The same of a picture: what cannot be seen has no colour."""
    pixels = image.convert("RGBA").load()
    return [
        [pixels[x, y] if pixels[x, y][3] else (0, 0, 0, 0) for x in range(image.width)] for y in range(image.height)
    ]


def any_gif(seed):
    """Bytes and what is shown: 2 to 6 frames of any place, size, disposal and palette."""
    dice = random.Random(seed)
    width, height = dice.randint(4, 12), dice.randint(4, 12)
    palette = dice.randbytes(768)
    frames = []
    for _ in range(dice.randint(2, 6)):
        columns, rows = dice.randint(1, width), dice.randint(1, height)
        frames.append(
            Stored(
                (dice.randint(0, width - columns), dice.randint(0, height - rows), columns, rows),
                bytes(dice.choice([TRANSPARENT, dice.randrange(256)]) for _ in range(columns * rows)),
                dice.randrange(4),
                dice.randint(0, 50),
                dice.random() < 0.6,
                dice.randbytes(768) if dice.random() < 0.5 else None,
            )
        )
    return gif((width, height), frames, 0, palette), list(shown((width, height), frames, palette)), frames


def apng(size, frames, plays=0, default=False, claimed=None):
    """An APNG of RGBA pieces: each is (left, upper, image, delay in ms, disposal, over)."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def pixels(image):
        rows = image.tobytes()
        step = image.width * 4
        return zlib.compress(b"".join(b"\0" + rows[at : at + step] for at in range(0, len(rows), step)))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0))
    out += chunk(b"acTL", struct.pack(">II", len(frames) if claimed is None else claimed, plays))
    if default:
        out += chunk(b"IDAT", pixels(Image.new("RGBA", size, (1, 2, 3, 255))))
    number = 0
    for at, (left, upper, image, delay, disposal, over) in enumerate(frames):
        place = struct.pack(">IIIIIHHBB", number, *image.size, left, upper, delay, 1000, disposal, over)
        out, number = out + chunk(b"fcTL", place), number + 1
        if at == 0 and not default:
            out += chunk(b"IDAT", pixels(image))
        else:
            out, number = out + chunk(b"fdAT", struct.pack(">I", number) + pixels(image)), number + 1
    return out + chunk(b"IEND", b"")


def ball(count, size=(160, 120), see_through=False):
    """Frames of a disc that rolls over a still photo, or over nothing."""
    # Soft, as pictures are that were scaled down: noise of one pixel is what no encoder keeps.
    soft = photo(*size, seed=5).filter(ImageFilter.GaussianBlur(2))
    ground = Image.new("RGBA", size) if see_through else soft
    frames = []
    for at in range(count):
        frame = ground.copy()
        left = (size[0] - 40) * at // max(1, count - 1)
        ImageDraw.Draw(frame).ellipse((left, 40, left + 40, 80), fill=(230, 30 + 200 * at // count, 20))
        frames.append(frame)
    return frames


def saved(frames, pillow_format, durations, **options):
    buffer = io.BytesIO()
    first, *others = frames
    first.save(buffer, pillow_format, save_all=True, append_images=others, duration=list(durations), **options)
    return buffer.getvalue()
