"""API keys: made, checked, changed, revoked, and given new webhook secrets. A token is shown once; the database keeps
its hash. Everything that changes a key is in the audit.
"""

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import ApiKey
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.webhook_secrets import new_secret
from pixmill_shared.errors import SecretRotating
from pixmill_shared.repositories import api_keys, audit
from pixmill_shared.repositories.api_keys import CheckedKey
from pixmill_shared.repositories.audit import Action
from pixmill_shared.service.sealing import Sealer

TOKEN_START: Final = "pxm_"  # noqa: S105 - the public start of every token
PREFIX_LENGTH: Final = 12
_TOKEN: Final = re.compile(rf"{TOKEN_START}([0-9a-f]{{{PREFIX_LENGTH}}})[A-Za-z0-9_-]{{43}}", re.ASCII)
_EXPIRED_AT_ONCE: Final = 500


@dataclass(frozen=True)
class By:
    """Who acts, for the audit. ``actor``: an API key's name and public part, or user and host of a command."""

    actor: str = "pixmill"
    request_id: str | None = None


@dataclass(frozen=True)
class KeyOptions:
    """What a key may do besides its scopes. None: as the installation's settings say; 0: no limit."""

    presets_only: bool = False
    rate_limit: int | None = None
    max_unfinished: int | None = None
    expires_in: datetime.timedelta | None = None


@dataclass(frozen=True)
class CreatedKey:
    """``token`` and ``webhook_secret`` are shown once."""

    token: str
    webhook_secret: str
    key: ApiKey


PLAIN: Final = KeyOptions()
PIXMILL: Final = By()


def create_key(
    session: Session,
    sealer: Sealer,
    *,
    project: str,
    name: str,
    scopes: Collection[Scope] = tuple(Scope),
    options: KeyOptions = PLAIN,
    by: By = PIXMILL,
) -> CreatedKey:
    """A key of ``project`` with a webhook secret of its own."""
    prefix = secrets.token_hex(PREFIX_LENGTH // 2)
    token = f"{TOKEN_START}{prefix}{secrets.token_urlsafe(32)}"
    secret = new_secret()
    key = ApiKey(
        id=new_id(),
        project=project,
        name=name,
        prefix=prefix,
        token_sha256=digest_of(token),
        webhook_secret=sealer.seal(secret),
        scopes=[str(scope) for scope in Scope if scope in scopes],
        presets_only=options.presets_only,
        rate_limit=options.rate_limit,
        max_unfinished=options.max_unfinished,
    )
    api_keys.add(session, key, options.expires_in)
    _note(session, Action.KEY_CREATED, key, by, {"name": name, "scopes": key.scopes})
    return CreatedKey(token, secret, key)


def change_key(session: Session, key: ApiKey, changes: Mapping[str, Any], by: By) -> None:
    """``changes``: new values of ``name``, ``presets_only``, ``rate_limit`` and ``max_unfinished``, where given."""
    for field, value in changes.items():
        setattr(key, field, value)
    session.flush()
    if changes:
        _note(session, Action.KEY_CHANGED, key, by, dict(changes))


def revoke_key(session: Session, key: ApiKey, by: By) -> None:
    """It opens nothing any more, once the API's processes have forgotten it. Again: nothing happens."""
    if key.revoked_at is None:
        api_keys.revoke(session, key)
        _note(session, Action.KEY_REVOKED, key, by)


def rotate_secret(session: Session, sealer: Sealer, key: ApiKey, *, grace: float, secret: str | None, by: By) -> str:
    """The new webhook secret, ``secret`` if given; the former one signs too for ``grace`` seconds.

    Raises SecretRotating while a former secret still signs: whoever was promised that would verify nothing any more.
    """
    if api_keys.former_secret_signs(session, key):
        raise SecretRotating(key.former_secret_expires_at)
    made = secret or new_secret()
    api_keys.exchange_secret(session, key, sealer.seal(made), grace)
    _note(session, Action.KEY_ROTATED, key, by)
    return made


def expire_keys(database: Database) -> int:
    """Keys whose time is over are marked as revoked, and former secrets that sign no more are forgotten; how many keys
    that were.
    """
    expired = 0
    while True:
        with database.session_scope() as session:
            found = api_keys.expire(session, _EXPIRED_AT_ONCE)
            for key in found:
                _note(session, Action.KEY_EXPIRED, key, PIXMILL)
        expired += len(found)
        if len(found) < _EXPIRED_AT_ONCE:
            break
    with database.session_scope() as session:
        api_keys.forget_former_secrets(session)
    return expired


def prefix_of(token: str) -> str | None:
    """The public part; None: it is no token of ours, and no database needs to be asked."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def digest_of(token: str) -> bytes:
    """A token has 256 random bits: a plain hash is as good as a slow one."""
    return hashlib.sha256(token.encode()).digest()


def check_key(session: Session, token: str) -> CheckedKey | None:
    """The key that the token belongs to, compared in constant time; None if there is none, or it is revoked or has
    expired.
    """
    prefix = prefix_of(token)
    key = api_keys.find_usable(session, prefix) if prefix else None
    return key if key and hmac.compare_digest(key.token_sha256, digest_of(token)) else None


def _note(session: Session, action: Action, key: ApiKey, by: By, detail: dict[str, Any] | None = None) -> None:
    audit.record(session, action, key.id, project=key.project, actor=by.actor, detail=detail, request_id=by.request_id)
