"""`pixmill keys`: API keys."""

import datetime
import json
import uuid
from typing import Annotated, Final

import typer
from sqlalchemy.orm import Session

from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.commands.key_lines import document, table
from pixmill.errors import InvalidOptionError, NoSuchKeyError
from pixmill.settings import actor
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.models import ApiKey
from pixmill_shared.repositories import api_keys
from pixmill_shared.service.keys import (
    TOKEN_START,
    By,
    CreatedKey,
    KeyOptions,
    create_key,
    revoke_key,
    rotate_secret,
)
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.settings.secrets import RotationSettings, SecretSettings

keys = typer.Typer(name="keys", help="API keys.", no_args_is_help=True)

LONGEST_NAME: Final = 100
MOST: Final = 10_000_000
LONGEST_LIFE: Final = 3_660
"""Days."""

_DEFAULT_SCOPES: Final = (Scope.READ, Scope.WRITE)

Which = Annotated[str, typer.Argument(metavar="ID|PREFIX", help="As `pixmill keys list` shows them.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@keys.callback()
def _group() -> None:
    """API keys."""


@keys.command()
@exit_on_error("keys create")
def create(
    project: Annotated[str, typer.Option(help="Whose jobs and uploads the key sees.")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; several times for several. Default: jobs:read, jobs:write."),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may do everything in the project; --scope admin.")] = False,
    presets_only: Annotated[
        bool, typer.Option("--presets-only", help="It may name presets, and send no recipe of its own.")
    ] = False,
    rate_limit: Annotated[
        int | None, typer.Option(min=0, max=MOST, help="Requests a minute; 0: no limit. Default: PIXMILL_RATE_LIMIT.")
    ] = None,
    max_unfinished: Annotated[
        int | None,
        typer.Option(min=0, max=MOST, help="Jobs under way; 0: no limit. Default: PIXMILL_MAX_UNFINISHED_JOBS."),
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_LIFE, metavar="DAYS", help="It ends after so many days.")
    ] = None,
) -> None:
    """Make an API key. The key and its webhook secret are shown here, once."""
    _check_texts(project, name)
    life = None if expires_in is None else datetime.timedelta(days=expires_in)
    created = _create(
        project,
        name or f"key of {project}",
        {*(scope or (() if admin else _DEFAULT_SCOPES)), *((Scope.ADMIN,) if admin else ())},
        KeyOptions(presets_only, rate_limit, max_unfinished, life),
    )
    typer.echo(f"key             {created.token}")
    typer.echo(f"webhook secret  {created.webhook_secret}")
    typer.secho("Keep both: they are not shown again.", err=True)


@keys.command("list")
@exit_on_error("keys list")
def list_keys(
    project: Annotated[str | None, typer.Option(help="Only this project's; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Go on after this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Newest first; without the tokens, which nobody knows any more."""
    if project is not None and not project.isprintable():
        raise InvalidOptionError("--project", "takes printable characters")
    last = None if before is None else _id("--before", before)
    with opened_database() as database, database.session_scope() as session:
        found = api_keys.page(session, project, limit=limit, before=last)
    shown, more = found[:limit], len(found) > limit
    if as_json:
        typer.echo(json.dumps([document(key) for key in shown], indent=2))
    else:
        for line in table(shown) if shown else ["No keys."]:
            typer.echo(line)
    if more:
        typer.secho(f"There are more: --before {shown[-1].id}", err=True)


@keys.command()
@exit_on_error("keys revoke")
def revoke(which: Which) -> None:
    """It opens nothing any more, once the API's processes have forgotten it (PIXMILL_KEY_CACHE_TTL seconds)."""
    with opened_database() as database, database.session_scope() as session:
        key = _found(session, which)
        revoked_before = key.revoked_at is not None
        revoke_key(session, key, By(actor()))
    typer.echo(f"{TOKEN_START}{key.prefix} was revoked {'already' if revoked_before else 'now'}.")


@keys.command("rotate-secret")
@exit_on_error("keys rotate-secret")
def rotate(which: Which) -> None:
    """A new webhook secret, shown here, once. The former one signs too for PIXMILL_WEBHOOK_ROTATION_GRACE seconds."""
    sealer, grace = Sealer(SecretSettings.load().keys), RotationSettings.load().grace
    with opened_database() as database, database.session_scope() as session:
        key = _found(session, which)
        made = rotate_secret(session, sealer, key, grace=grace, secret=None, by=By(actor()))
    typer.echo(f"webhook secret  {made}")
    typer.secho("Keep it: it is not shown again. The key itself stays as it is.", err=True)


def _check_texts(project: str, name: str) -> None:
    for option, value in (("--project", project), ("--name", name)):
        if len(value) > LONGEST_NAME or not value.isprintable():
            raise InvalidOptionError(option, f"takes up to {LONGEST_NAME} printable characters")
    if not project:
        raise InvalidOptionError("--project", "must not be empty")


def _create(project: str, name: str, scopes: set[Scope], options: KeyOptions) -> CreatedKey:
    sealer = Sealer(SecretSettings.load().keys)
    with opened_database() as database, database.session_scope() as session:
        return create_key(session, sealer, project=project, name=name, scopes=scopes, options=options, by=By(actor()))


def _found(session: Session, which: str) -> ApiKey:
    """Locked. Raises NoSuchKeyError."""
    by_prefix = api_keys.find_by_prefix(session, which.removeprefix(TOKEN_START)) if which.isprintable() else None
    try:
        key_id = by_prefix.id if by_prefix else uuid.UUID(which)
    except ValueError:
        raise NoSuchKeyError(which) from None
    key = api_keys.find(session, key_id, None, lock=True)
    if key is None:
        raise NoSuchKeyError(which)
    return key


def _id(option: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidOptionError(option, "must be the id of a key, as `pixmill keys list` shows it") from None
