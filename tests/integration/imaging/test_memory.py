"""A picture that needs more memory than a render process may have is a failed job, and the process goes on."""

import subprocess
import sys

import pytest

#: A child of a worker with 500 MiB of address space, and a small picture, one of 64 megapixels, a small one.
CHILD = """
import io, struct, sys, zlib
from celery import signals
from PIL import Image
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError
from pixmill_shared.plumbing.memory import bound_memory

def png(side):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    pack = zlib.compressobj(1)
    row = b"\\0" + b"\\1\\2\\3\\xc0" * side
    rows = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

bound_memory(lambda: 10**6, lambda: 500 * 1024)
signals.worker_process_init.send(None)
loader = choose_loader(LoaderChoice(sys.argv[1]))
recipe = parse_recipe({"outputs": [{"name": "o", "format": sys.argv[2]}]})
for side in (40, 8000, 50):
    try:
        print(list(render(png(side), recipe, loader, PixelLimits()).outputs())[0].width)
    except PermanentError as error:
        print(error.code)
    except MemoryError:
        print("memory_limit, by the stage")
"""


@pytest.mark.parametrize("output", ["webp", "png"])
@pytest.mark.parametrize("loader", ["vips", "pillow"])
def test_picture_beyond_the_memory_limit_fails_and_the_next_is_made(loader, output):
    command = [sys.executable, "-c", CHILD, loader, output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    before, bomb, after = done.stdout.splitlines()
    assert (before, after) == ("40", "50")
    assert bomb.startswith("memory_limit"), done.stdout


def test_encoder_that_runs_out_of_memory_says_so():
    from pixmill_imaging.pillow.encoders.encoding import saved

    class Exhausted:
        def __init__(self, words):
            self.words = words

        def save(self, *_args, **_options):
            raise ValueError(self.words)

    for words in ("encoding error 1", "encoding error 2", "Failed to encode image: Out of memory"):
        with pytest.raises(MemoryError):
            saved(Exhausted(words), "WEBP")
    with pytest.raises(ValueError, match="encoding error 10"):
        saved(Exhausted("encoding error 10"), "WEBP")


def test_process_gives_back_what_a_large_picture_took():
    """In a process of its own: what this one holds of its heap depends on the tests before."""
    code = """
from PIL import Image
from pixmill_shared.plumbing.memory import GivingBack, resident
giving_back = GivingBack()
pictures, between = [], []
for number in range(60):
    pictures.append(Image.new("RGB", (500, 500), number))
    between.append(bytes(100_000))
before = resident()
blocks = [bytes(120_000) for _ in range(2000)]
small = [bytes(500) for _ in range(2000)]
full = resident()
del blocks
held = resident()
giving_back.after_task()
print(full - before, held - before, resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=150, check=False)
    taken, held, left = map(int, done.stdout.split())
    assert taken > 100_000, done
    assert held > 100_000
    assert left < 30_000
