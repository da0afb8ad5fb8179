"""`pixmill env`: the stack's variables for another shell."""

import shlex

import typer

from pixmill.commands.failing import exit_on_error
from pixmill.commands.options import DataDirOption
from pixmill.errors import DataDirError
from pixmill.local.datadir import DataDir
from pixmill.settings import default_data_dir, process_environment


@exit_on_error("env")
def env(data_dir: DataDirOption = None) -> None:
    """Print the variables of the running stack, or the last one: eval "$(pixmill env)"."""
    data = DataDir(data_dir or default_data_dir(process_environment()))
    variables = data.read_environment()
    if not variables:
        raise DataDirError(f"no stack has run on {data.path}. Start one with `pixmill up`, or name its --data-dir.")
    if not data.is_running():
        typer.secho(f"pixmill env: the stack on {data.path} is not running now.", err=True, fg=typer.colors.YELLOW)
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
