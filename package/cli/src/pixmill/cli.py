"""The `pixmill` command. To add a subcommand: a file with one function in `commands/`, and a line below."""

import typer

from pixmill.commands.demo import demo
from pixmill.commands.env import env
from pixmill.commands.keys import keys
from pixmill.commands.migrate import migrate
from pixmill.commands.up import up

app = typer.Typer(
    name="pixmill",
    help="Self-hosted, asynchronous image processing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(up)
app.command()(env)
app.command()(demo)
app.command()(migrate)
app.add_typer(keys)


@app.callback()
def _main() -> None:
    """Self-hosted, asynchronous image processing."""
