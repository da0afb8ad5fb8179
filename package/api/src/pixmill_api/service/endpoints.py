"""Endpoints of a project: made, shown, changed, rotated, pinged, recovered."""

import datetime
import json
import uuid
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import func
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.header_rules import wrong_header
from pixmill_api.errors import Conflict, InvalidRequest, NotFound, TooMany
from pixmill_api.repositories import webhook_views
from pixmill_api.service.auditing import note
from pixmill_api.service.delivery_documents import shown_delivery
from pixmill_api.service.pages import page_of
from pixmill_api.webhook_schemas import EndpointChange, EndpointRequest
from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.events import DisabledReason
from pixmill_shared.database.models import Delivery, Endpoint, EndpointSecret
from pixmill_shared.domain.ids import least_id, new_id
from pixmill_shared.domain.json_reader import JsonError, join_pointer
from pixmill_shared.domain.moments import utc
from pixmill_shared.domain.webhook_secrets import new_secret
from pixmill_shared.egress.guard import forbidden_literal
from pixmill_shared.repositories import alerts, resending
from pixmill_shared.repositories.audit import Action
from pixmill_shared.service.exhaustion import delivery_subject

MOST_SECRETS: Final = 5
"""That sign at the same time: each adds a signature to every webhook."""
MOST_RECOVERED: Final = 1_000
"""Deliveries that one call sends again."""
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def list_endpoints(context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = webhook_views.page_of_endpoints(session, caller.project, limit=limit, before=before)
        shown, more = rows[:limit], len(rows) > limit
        data = [_document(context, row) for row in shown]
    return page_of(data, shown, more=more)


def find_endpoint(context: Context, caller: Caller, endpoint_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        return _document(context, found(session, caller, endpoint_id))


def create(context: Context, session: Session, caller: Caller, body: EndpointRequest) -> dict[str, Any]:
    """With its secret, which is shown this once. Raises InvalidRequest, and TooMany if the project has enough."""
    _check(context, body.url, body.headers)
    most = context.settings.max_endpoints
    if webhook_views.count_endpoints(session, caller.project) >= most:
        raise TooMany(f"The project has {most} endpoints already. Delete one that is not needed.")
    row = Endpoint(
        id=new_id(),
        project=caller.project,
        url=body.url,
        events=list(body.events),
        description=body.description,
        headers=_sealed(context, body.headers),
    )
    session.add(row)
    session.flush()
    secret = _add_secret(context, session, row.id, body.secret)
    note(session, caller, Action.ENDPOINT_CREATED, row.id, {"host": urlsplit(row.url).hostname})
    return {**_document(context, row), "secret": secret}


def change(context: Context, caller: Caller, endpoint_id: uuid.UUID, body: EndpointChange) -> dict[str, Any]:
    """Enabled again, it begins anew: what it failed before is forgotten. Raises NotFound and InvalidRequest."""
    _check(context, body.url, body.headers)
    with context.runtime.database.session_scope() as session:
        row = found(session, caller, endpoint_id, lock=True)
        if body.url is not None and body.url != row.url:
            row.url = body.url
            session.flush()
            webhook_views.redirect_waiting(session, row)
        if body.events is not None:
            row.events = list(body.events)
        if body.description is not None:
            row.description = body.description
        if body.headers is not None:
            row.headers = _sealed(context, body.headers)
        if body.disabled is not None:
            _switch(session, row, off=body.disabled)
        row.updated_at = func.clock_timestamp()
        session.flush()
        session.refresh(row)
        note(session, caller, Action.ENDPOINT_CHANGED, row.id, {"changed": sorted(body.model_fields_set)})
        return _document(context, row)


def delete(context: Context, caller: Caller, endpoint_id: uuid.UUID) -> None:
    """With its deliveries, sent or not. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        session.delete(found(session, caller, endpoint_id, lock=True))
        _clear_alerts(session, endpoint_id)
        note(session, caller, Action.ENDPOINT_DELETED, endpoint_id)


def rotate(
    context: Context, session: Session, caller: Caller, endpoint_id: uuid.UUID, secret: str | None
) -> dict[str, Any]:
    """The new secret, shown this once; the former one signs too for PIXMILL_WEBHOOK_ROTATION_GRACE.

    Raises NotFound, and TooMany if that was done several times within the grace.
    """
    row, grace = found(session, caller, endpoint_id, lock=True), context.rotation_grace
    if webhook_views.count_secrets(session, row.id) >= MOST_SECRETS:
        raise TooMany(f"{MOST_SECRETS} secrets sign at the same time already. Wait until the oldest one has expired.")
    expires_at = webhook_views.expire_secret(session, row.id, grace)
    made = _add_secret(context, session, row.id, secret)
    note(session, caller, Action.ENDPOINT_ROTATED, row.id)
    return {"endpoint_id": str(row.id), "secret": made, "former_expires_at": utc(expires_at)}


def ping(context: Context, session: Session, caller: Caller, endpoint_id: uuid.UUID) -> dict[str, Any]:
    """The delivery. Raises NotFound, and Conflict for one that is disabled."""
    row = _enabled(session, caller, endpoint_id)
    made = resending.ping(session, row.id, {"endpoint_id": str(row.id)})
    return shown_delivery(context, session, session.get_one(Delivery, made))


def recover(context: Context, caller: Caller, endpoint_id: uuid.UUID, since: datetime.datetime) -> dict[str, Any]:
    """How many deliveries were made again. Raises NotFound, and Conflict for an endpoint that is disabled."""
    with context.runtime.database.session_scope() as session:
        row = _enabled(session, caller, endpoint_id)
        count = resending.recover(session, row.id, least_id(max(since, _EPOCH)), MOST_RECOVERED)
    return {"recovered": count, "has_more": count == MOST_RECOVERED}


def found(session: Session, caller: Caller, endpoint_id: uuid.UUID, *, lock: bool = False) -> Endpoint:
    """Raises NotFound, for another project's too."""
    row = webhook_views.find_endpoint(session, caller.project, endpoint_id, lock=lock)
    if row is None:
        raise NotFound("There is no such endpoint.")
    return row


def _enabled(session: Session, caller: Caller, endpoint_id: uuid.UUID) -> Endpoint:
    # Locked, so that of two calls at once the second sees what the first one made.
    row = found(session, caller, endpoint_id, lock=True)
    if row.disabled_at is not None:
        raise Conflict("The endpoint is disabled. Enable it first: PATCH it with disabled: false.")
    return row


def _check(context: Context, url: str | None, headers: dict[str, Any] | None) -> None:
    wrong = [
        JsonError(join_pointer("/headers", name), sentence)
        for name, value in (headers or {}).items()
        if (sentence := wrong_header(name, value))
    ]
    if len({name.lower() for name in headers or {}}) < len(headers or {}):
        wrong.append(JsonError("/headers", "has a name twice, in upper and lower case"))
    if url is not None and (forbidden := forbidden_literal(url, context.egress_allow)):
        wrong.append(JsonError("/url", forbidden))
    if wrong:
        raise InvalidRequest(wrong)


def _sealed(context: Context, headers: dict[str, Any]) -> bytes | None:
    lower = {name.lower(): value for name, value in headers.items()}
    return context.runtime.sealer.seal(json.dumps(lower)) if lower else None


def _add_secret(context: Context, session: Session, endpoint_id: uuid.UUID, given: str | None) -> str:
    secret = given or new_secret()
    sealed = context.runtime.sealer.seal(secret)
    session.add(EndpointSecret(id=new_id(), endpoint_id=endpoint_id, secret=sealed))
    session.flush()
    return secret


def _switch(session: Session, row: Endpoint, *, off: bool) -> None:
    if off and row.disabled_at is None:
        row.disabled_at, row.disabled_reason = func.clock_timestamp(), DisabledReason.REQUESTED
    if not off:
        row.disabled_at = row.disabled_reason = row.failing_since = None
        _clear_alerts(session, row.id)


def _clear_alerts(session: Session, endpoint_id: uuid.UUID) -> None:
    rules = (AlertRule.DELIVERIES_EXHAUSTED, AlertRule.ENDPOINT_DISABLED)
    alerts.clear_alerts(session, rules, delivery_subject(endpoint_id, None))


def _document(context: Context, row: Endpoint) -> dict[str, Any]:
    url = f"{context.public_url}/api/v1/endpoints/{row.id}"
    names = json.loads(context.runtime.sealer.unseal(bytes(row.headers))) if row.headers is not None else {}
    return {
        "endpoint_id": str(row.id),
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "header_names": sorted(names),
        "disabled": row.disabled_at is not None,
        "disabled_at": utc(row.disabled_at),
        "disabled_reason": row.disabled_reason,
        "failing_since": utc(row.failing_since),
        "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at),
        "urls": {
            "self": url,
            **{call: f"{url}/{call}" for call in ("rotate", "ping", "recover")},
            "deliveries": f"{context.public_url}/api/v1/deliveries?endpoint={row.id}",
        },
    }
