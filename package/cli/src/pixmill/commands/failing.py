"""How a command ends that cannot do its work: a sentence on stderr and exit code 1, never a traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from pixmill_shared.errors import PixmillError

P = ParamSpec("P")


def exit_on_error(command: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorate a command: PixmillError becomes ``pixmill <command>: <message>`` and exit code 1."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except PixmillError as error:
                typer.secho(f"pixmill {command}: {error}", err=True, fg=typer.colors.RED)
                raise typer.Exit(1) from None

        return wrapped

    return decorate
