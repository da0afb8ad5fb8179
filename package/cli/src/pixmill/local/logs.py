"""The lines of all processes in one stream, each with the name of its process."""

import threading
from typing import Final, TextIO

_COLOURS: Final = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
_OWN: Final = "1"
_WIDTH: Final = 10


class LogSink:
    """Writes ``name | line``; safe to use from many threads. Colour only where the caller knows a terminal."""

    def __init__(self, stream: TextIO, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()
        self._assigned: dict[str, str] = {}
        self._broken = False

    def line(self, name: str, text: str) -> None:
        """One line that a process wrote."""
        with self._lock:
            self._write(f"{self._paint(name, f'{name:<{_WIDTH}} |')} {text}\n")

    def note(self, text: str) -> None:
        """One line of the stack's own."""
        with self._lock:
            prefix = f"{'pixmill':<{_WIDTH}} |"
            self._write(f"{self._escape(_OWN, prefix)} {self._escape(_OWN, text)}\n")

    def _write(self, text: str) -> None:
        if self._broken:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the reader went away or the file is closed: the stack runs on, unheard
            self._broken = True

    def _paint(self, name: str, text: str) -> str:
        colour = self._assigned.setdefault(name, _COLOURS[len(self._assigned) % len(_COLOURS)])
        return self._escape(colour, text)

    def _escape(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text
