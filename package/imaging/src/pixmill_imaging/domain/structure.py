"""The bound of what walks over the parts of a file: segments, chunks, blocks, boxes."""

from typing import Final

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError

#: A picture of 50 MB has some thousands, one of 10,000 frames some ten thousands. Of empty parts such a file would
#: hold millions, and to walk over them takes a minute, here and in Pillow.
MOST_PARTS: Final = 100_000


class PartCount:
    """Of one walk over one file."""

    def __init__(self) -> None:
        self._left = MOST_PARTS

    def add(self, parts: int = 1) -> None:
        """Raises PermanentError ``undecodable`` once there are too many."""
        self._left -= parts
        if self._left < 0:
            raise PermanentError(ErrorCode.UNDECODABLE, f"The image is a file of more than {MOST_PARTS} parts.")
