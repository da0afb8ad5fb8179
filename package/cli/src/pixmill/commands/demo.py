"""`pixmill demo`: start a stack, run pictures and a menu through it, show what came out, stop."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pixmill.commands.failing import exit_on_error
from pixmill.demo.run import run_demo
from pixmill.errors import InvalidOptionError


@exit_on_error("demo")
def demo(
    images: Annotated[list[Path] | None, typer.Argument(help="Pictures of yours; without any, a few are made.")] = None,
    out: Annotated[Path, typer.Option(help="Where the outputs are saved.")] = Path("demo-out"),
    real_pictures: Annotated[
        bool,
        typer.Option("--real-pictures", help="Have the menu drawn by Gemini, with GEMINI_API_KEY; this costs money."),
    ] = False,
) -> None:
    """Send pictures through an embedded stack, as upload and as URL, and a menu to be drawn; show what came out."""
    _refuse_missing(images or [])
    run_demo(Console(highlight=False), images or [], out, real=real_pictures)


def _refuse_missing(images: list[Path]) -> None:
    for path in images:
        if not path.is_file():
            raise InvalidOptionError(str(path), "is not a file; name pictures that exist")
