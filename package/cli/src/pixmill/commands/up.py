"""`pixmill up`: start the local stack and keep it running until Ctrl-C."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from pixmill.commands.failing import exit_on_error
from pixmill.commands.options import DataDirOption
from pixmill.errors import StopRequestedError
from pixmill.local.ports import PortPlan
from pixmill.local.stack import LocalStack
from pixmill.settings import base_port, default_data_dir, process_environment

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@exit_on_error("up")
def up(
    data_dir: DataDirOption = None,
    port: Annotated[
        int | None, typer.Option(help="The API's port; the health ports and Flower follow, up to 7 above it.")
    ] = None,
) -> None:
    """Start everything on this machine: Postgres, Redis, workers, beat, Flower, API. Ctrl-C stops it."""
    console = Console(highlight=False, soft_wrap=True)
    environ = process_environment()
    stack = LocalStack(
        data_dir or default_data_dir(environ),
        PortPlan.from_base(port if port is not None else base_port(environ)),
        environ=environ,
        log=sys.stdout,
        colour=console.is_terminal and not console.no_color,
    )
    _stop_on_signals(stack)
    try:
        with stack:
            console.print(_summary(stack))
            stack.wait()
    except StopRequestedError:  # Ctrl-C before all was ready: done as asked
        return


def _stop_on_signals(stack: LocalStack) -> None:
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            stack.kill()
        else:
            stack.request_stop()
        asked = True

    for number in _SIGNALS:
        signal.signal(number, stop)


def _summary(stack: LocalStack) -> Panel:
    urls = dict(stack.urls)
    login = f"{stack.environment['FLOWER_USER']} / {stack.environment['FLOWER_PASSWORD']}"
    table = Table.grid(padding=(0, 2))
    api, flower = urls.pop("api"), urls.pop("flower")
    table.add_row("API", api)
    table.add_row("Reference", f"{api}/docs")
    table.add_row("Flower", f"{flower}   login {login}")
    table.add_row("Health", "\n".join(f"{url}/health/ready   {name}" for name, url in urls.items()))
    table.add_row("Servers", "\n".join(f"{address}   {name}" for name, address in stack.servers.items()))
    table.add_row("Data", _places(stack))
    table.add_row("Another shell", f'eval "$(pixmill env{_option(stack.data.path)})"')
    return Panel(table, title="pixmill is ready - Ctrl-C stops it", expand=False)


def _places(stack: LocalStack) -> str:
    if stack.server_directory == stack.data.path:
        return str(stack.data.path)
    return f"{stack.data.path}\n{stack.server_directory}   (Postgres, Redis: they run as nobody)"


def _option(path: Path) -> str:
    return "" if path == default_data_dir(process_environment()) else f" --data-dir {path}"
