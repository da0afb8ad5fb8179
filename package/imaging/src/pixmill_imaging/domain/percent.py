"""How far a job is, in percent: what has been fetched is 30, and 100 is for what is stored and recorded."""

from collections.abc import Callable
from typing import Any, Final

FETCHED: Final = 30
"""Of a job whose source had to be fetched and is there."""

_MADE: Final = 99


def begun(source: dict[str, Any]) -> int:
    """Where rendering begins: bytes that came with an upload did not have to be fetched."""
    return 0 if "upload_id" in source else FETCHED


class RenderProgress:
    """Counts steps, of which nobody knows how many there will be, and outputs, of which one does."""

    def __init__(self, report: Callable[[float], None], start: int) -> None:
        self._report = report
        self._start = start
        self._outputs = 1
        self._steps_an_output = 1
        self._made = 0
        self._steps = 0

    def begin(self) -> None:
        """Nothing is known yet."""
        self._report(self._start)

    def expect(self, outputs: int, steps: int) -> None:
        """``steps``: about as many as there will be, of the decoder and of all outputs."""
        self._outputs = max(outputs, 1)
        self._steps_an_output = max(steps // self._outputs, 1)

    def step(self) -> None:
        """Something was done for the next output."""
        self._steps += 1
        # More steps than were expected come nearer and nearer to an output, and never to it.
        done = self._steps / (self._steps + self._steps_an_output)
        self._tell(self._made + done)

    def output_made(self) -> None:
        self._made += 1
        self._steps = 0
        self._tell(self._made)

    def _tell(self, outputs: float) -> None:
        self._report(self._start + (_MADE - self._start) * min(outputs / self._outputs, 1))
