"""Writes ``docs/demo.svg`` and ``docs/menu.png``, what ``make demo`` prints and draws, from a real run.

.venv/bin/python tools/demo_picture.py
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console

from pixmill.demo.menu import SHEET
from pixmill.demo.run import run_demo

DOCS = Path(__file__).resolve().parent.parent / "docs"
COLOURS = 128
"""Of the sheet: enough for cards, and a third of the bytes."""


def main() -> None:
    out = Path("demo-out")
    console = Console(record=True, width=125, file=io.StringIO(), color_system="truecolor", highlight=False)
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        run_demo(console, [], out)
        # Where it ran is of no interest to the reader.
        text = console.export_svg(title="make demo").replace(f"{Path(directory).resolve()}/", "")
        with Image.open(out / SHEET) as sheet:
            sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(DOCS / "menu.png", optimize=True)
    (DOCS / "demo.svg").write_text(text)
    sys.stdout.write(f"wrote demo.svg and menu.png in {DOCS}\n")


if __name__ == "__main__":
    main()
