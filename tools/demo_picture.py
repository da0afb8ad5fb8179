"""Writes ``docs/demo.svg``, the picture in the README: what ``make demo`` prints, from a real run.

.venv/bin/python tools/demo_picture.py
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from pixmill.demo.run import run_demo

TARGET = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"


def main() -> None:
    console = Console(record=True, width=125, file=io.StringIO(), color_system="truecolor", highlight=False)
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        run_demo(console, [], Path("demo-out"))
        # Where it ran is of no interest to the reader.
        text = console.export_svg(title="make demo").replace(f"{Path(directory).resolve()}/", "")
    TARGET.write_text(text)
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
