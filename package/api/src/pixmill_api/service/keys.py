"""Keys of a project over HTTP: made, shown, changed, revoked, given new webhook secrets; and the audit."""

import datetime
import uuid
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound
from pixmill_api.key_schemas import KeyChange, KeyRequest
from pixmill_api.service.auditing import by
from pixmill_api.service.pages import page_of
from pixmill_shared.database.models import ApiKey, AuditRecord
from pixmill_shared.domain.moments import utc
from pixmill_shared.errors import SecretRotating
from pixmill_shared.repositories import api_keys, audit
from pixmill_shared.service import keys
from pixmill_shared.service.keys import TOKEN_START, KeyOptions


def list_keys(context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first; those that are revoked too."""
    with context.runtime.database.session_scope() as session:
        rows = api_keys.page(session, caller.project, limit=limit, before=before)
    shown, more = rows[:limit], len(rows) > limit
    data = [_document(context, row) for row in shown]
    return page_of(data, shown, more=more)


def find_key(context: Context, caller: Caller, key_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        return _document(context, _found(session, caller, key_id))


def create(context: Context, session: Session, caller: Caller, body: KeyRequest) -> dict[str, Any]:
    """With its token and its webhook secret, which are shown this once."""
    life = None if body.expires_in is None else datetime.timedelta(seconds=body.expires_in)
    made = keys.create_key(
        session,
        context.runtime.sealer,
        project=caller.project,
        name=body.name,
        scopes=body.scopes,
        options=KeyOptions(body.presets_only, body.rate_limit, body.max_unfinished, life),
        by=by(caller),
    )
    return {**_document(context, made.key), "token": made.token, "webhook_secret": made.webhook_secret}


def change(context: Context, caller: Caller, key_id: uuid.UUID, body: KeyChange) -> tuple[dict[str, Any], str]:
    """The key, and the public part of its token. Raises NotFound, and Conflict for a key that is revoked."""
    with context.runtime.database.session_scope() as session:
        key = _usable(session, caller, key_id)
        keys.change_key(session, key, body.model_dump(exclude_unset=True), by(caller))
        return _document(context, key), key.prefix


def revoke(context: Context, caller: Caller, key_id: uuid.UUID) -> str:
    """The public part of its token. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        key = _found(session, caller, key_id, lock=True)
        keys.revoke_key(session, key, by(caller))
        return key.prefix


def rotate(context: Context, session: Session, caller: Caller, key_id: uuid.UUID, secret: str | None) -> dict[str, Any]:
    """The new webhook secret, shown this once; the former one signs too for PIXMILL_WEBHOOK_ROTATION_GRACE.

    Raises NotFound, and Conflict while a former one signs still, or for a key that is revoked.
    """
    key = _usable(session, caller, key_id)
    try:
        made = keys.rotate_secret(
            session, context.runtime.sealer, key, grace=context.rotation_grace, secret=secret, by=by(caller)
        )
    except SecretRotating as error:
        raise Conflict(str(error)) from None
    return {"key_id": str(key.id), "webhook_secret": made, "former_expires_at": utc(key.former_secret_expires_at)}


def list_audit(context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = audit.page(session, caller.project, limit=limit, before=before)
    shown, more = rows[:limit], len(rows) > limit
    data = [_record(row) for row in shown]
    return page_of(data, shown, more=more)


def _found(session: Session, caller: Caller, key_id: uuid.UUID, *, lock: bool = False) -> ApiKey:
    key = api_keys.find(session, key_id, caller.project, lock=lock)
    if key is None:
        raise NotFound("There is no such key.")
    return key


def _usable(session: Session, caller: Caller, key_id: uuid.UUID) -> ApiKey:
    key = _found(session, caller, key_id, lock=True)
    if key.revoked_at is not None:
        raise Conflict("The key is revoked, and stays so. Make another one.")
    return key


def _document(context: Context, key: ApiKey) -> dict[str, Any]:
    url = f"{context.public_url}/api/v1/keys/{key.id}"
    return {
        "key_id": str(key.id),
        "name": key.name,
        "prefix": f"{TOKEN_START}{key.prefix}",
        "scopes": key.scopes,
        "presets_only": key.presets_only,
        "rate_limit": key.rate_limit,
        "max_unfinished": key.max_unfinished,
        "created_at": utc(key.created_at),
        "expires_at": utc(key.expires_at),
        "revoked_at": utc(key.revoked_at),
        "former_secret_expires_at": utc(key.former_secret_expires_at),
        "urls": {"self": url, "rotate": f"{url}/rotate"},
    }


def _record(row: AuditRecord) -> dict[str, Any]:
    return {
        "audit_id": str(row.id),
        "at": utc(row.at),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
        "request_id": row.request_id,
    }
