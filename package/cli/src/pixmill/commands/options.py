"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIRECTORY",
        help="Where the stack keeps everything. Default: $XDG_DATA_HOME/pixmill or ~/.local/share/pixmill.",
    ),
]
