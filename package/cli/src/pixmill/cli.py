"""The `pixmill` command. To add a subcommand: a file in `commands/`, and a line in COMMANDS."""

from importlib import import_module
from typing import Any, Final

import typer
import typer.main
from typer.core import TyperGroup

#: A command is imported when it is used: all of them together cost more than a second, and `up` waits for it twice,
#: for itself and for `migrate`. The value is a function, or a Typer with subcommands.
COMMANDS: Final = {
    "up": "pixmill.commands.up:up",
    "env": "pixmill.commands.env:env",
    "demo": "pixmill.commands.demo:demo",
    "migrate": "pixmill.commands.migrate:migrate",
    "backup": "pixmill.commands.backups:backup",
    "backups": "pixmill.commands.backups:backups",
    "restore": "pixmill.commands.backups:restore",
    "sweep": "pixmill.commands.sweep:sweep",
    "keys": "pixmill.commands.keys:keys",
    "workers": "pixmill.commands.workers:workers",
    "services": "pixmill.commands.services:services",
    "dead-letters": "pixmill.commands.dead_letters:dead_letters",
    "pipelines": "pixmill.commands.pipelines:pipelines",
    "tasks": "pixmill.commands.tasks:tasks",
}


class LazyCommands(TyperGroup):
    """Knows the names of all commands, and imports the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _load(cmd_name) if cmd_name in COMMANDS else None


app = typer.Typer(
    name="pixmill",
    help="Self-hosted, asynchronous image processing.",
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    """Self-hosted, asynchronous image processing."""


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    loaded = getattr(import_module(module), attribute)
    if isinstance(loaded, typer.Typer):
        return typer.main.get_group(loaded)
    single = typer.Typer(add_completion=False)
    single.command(name)(loaded)
    return typer.main.get_command(single)
