"""API keys: made here, checked here. A token is shown once; the database keeps its hash."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.models import ApiKey
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.webhook_secrets import new_secret
from pixmill_shared.repositories import api_keys
from pixmill_shared.service.sealing import Sealer

TOKEN_START = "pxm_"  # noqa: S105 - the public start of every token
_PREFIX_LENGTH = 12


@dataclass(frozen=True)
class CreatedKey:
    """Shown once."""

    token: str
    webhook_secret: str


def create_key(
    session: Session, sealer: Sealer, *, project: str, name: str, scopes: Collection[Scope] = tuple(Scope)
) -> CreatedKey:
    """A key of ``project`` with a webhook secret of its own."""
    prefix = secrets.token_hex(_PREFIX_LENGTH // 2)
    token = f"{TOKEN_START}{prefix}{secrets.token_urlsafe(32)}"
    secret = new_secret()
    key = ApiKey(
        id=new_id(),
        project=project,
        name=name,
        prefix=prefix,
        token_sha256=_digest(token),
        webhook_secret=sealer.seal(secret),
        scopes=[str(scope) for scope in scopes],
    )
    api_keys.add(session, key)
    return CreatedKey(token=token, webhook_secret=secret)


def check_key(session: Session, token: str) -> ApiKey | None:
    """The key that the token belongs to, compared in constant time; None if there is none or it is revoked."""
    if not token.startswith(TOKEN_START):
        return None
    key = api_keys.find(session, token.removeprefix(TOKEN_START)[:_PREFIX_LENGTH])
    return key if key and hmac.compare_digest(bytes(key.token_sha256), _digest(token)) else None


def _digest(token: str) -> bytes:
    # A token has 256 random bits: a plain hash is as good as a slow one.
    return hashlib.sha256(token.encode()).digest()
