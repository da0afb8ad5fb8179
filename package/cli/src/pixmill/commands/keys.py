"""`pixmill keys`: API keys."""

from typing import Annotated

import typer

from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.errors import InvalidOptionError
from pixmill_shared.service.keys import CreatedKey, create_key
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.settings.secrets import SecretSettings

keys = typer.Typer(name="keys", help="API keys.", no_args_is_help=True)

LONGEST_NAME = 100


@keys.callback()
def _group() -> None:
    """API keys."""


@keys.command()
@exit_on_error("keys create")
def create(
    project: Annotated[str, typer.Option(help="Whose jobs and uploads the key sees.")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
) -> None:
    """Make an API key. The key and its webhook secret are shown here, once."""
    for option, value in (("--project", project), ("--name", name)):
        if len(value) > LONGEST_NAME or not value.isprintable():
            raise InvalidOptionError(option, f"takes up to {LONGEST_NAME} printable characters")
    if not project:
        raise InvalidOptionError("--project", "must not be empty")
    created = _create(project, name or f"key of {project}")
    typer.echo(f"key             {created.token}")
    typer.echo(f"webhook secret  {created.webhook_secret}")
    typer.secho("Keep both: they are not shown again.", err=True)


def _create(project: str, name: str) -> CreatedKey:
    sealer = Sealer(SecretSettings.load().keys)
    with opened_database() as database, database.session_scope() as session:
        return create_key(session, sealer, project=project, name=name)
