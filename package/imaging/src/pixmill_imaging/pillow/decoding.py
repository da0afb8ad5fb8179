"""Around every call into a Pillow decoder: hostile bytes become one kind of error, and no warning."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image, ImageFile

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError

# Pixels are limited by settings, from the header, before decoding; Pillow's own limit would come first.
Image.MAX_IMAGE_PIXELS = None
# A picture that ends in grey is worse than an error; other libraries of the process may think otherwise.
ImageFile.LOAD_TRUNCATED_IMAGES = False

#: What decoders were seen to raise on damaged files. OSError is no I/O here: the bytes are in memory.
DECODER_ERRORS: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    BufferError,
    ArithmeticError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


OUT_OF_MEMORY: Final = "The image takes more memory than a process may use here."


@contextmanager
def decoding() -> Iterator[None]:
    """Turn what a decoder raises into PermanentError ``undecodable`` or ``memory_limit``, and silence what it warns of.

    Warnings are filtered for the whole process while this lasts: it is for single-threaded render processes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except MemoryError as error:
            raise PermanentError(ErrorCode.MEMORY_LIMIT, OUT_OF_MEMORY) from error
        except DECODER_ERRORS as error:
            raise PermanentError(ErrorCode.UNDECODABLE, "The image is damaged or incomplete.") from error
