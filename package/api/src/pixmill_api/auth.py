"""What handlers share: the process' clients and limits, and who is asking."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pixmill_api.errors import NotAuthenticated, ScopeMissing
from pixmill_api.parameters import refuse_unknown
from pixmill_api.service.backlog import Backlog
from pixmill_api.settings import ApiSettings, UploadSettings
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.domain.addresses import AllowList
from pixmill_shared.observability.health import Readiness
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.keys import check_key

DEFAULT_PROJECT: Final = "default"
"""Whose everything is where keys are off."""


@dataclass(frozen=True)
class Context:
    """``public_url`` without a slash at its end; ``max_source_bytes`` limits uploads as it limits fetches, and
    ``egress_allow`` says which addresses webhooks may go to besides public ones.
    """

    runtime: Runtime
    settings: ApiSettings
    public_url: str
    max_source_bytes: int
    uploads: UploadSettings
    egress_allow: AllowList
    readiness: Readiness
    backlog: Backlog


@dataclass(frozen=True)
class Caller:
    """Rows belong to the project, so a rotated key still sees them. ``name`` is for the audit."""

    project: str
    api_key_id: uuid.UUID | None = None
    name: str = "anyone"
    scopes: frozenset[Scope] = frozenset(Scope)
    presets_only: bool = False
    max_unfinished: int = 0


_bearer = HTTPBearer(auto_error=False, bearerFormat="pxm_…", description="An API key")


async def _context(request: Request) -> Context:
    if request.scope["query_string"]:
        refuse_unknown(request)
    found: Context = request.app.state.context
    return found


Shared = Annotated[Context, Depends(_context)]


async def _caller(
    context: Shared, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    if not context.settings.keys_required:
        return Caller(DEFAULT_PROJECT)
    if credentials is None:
        raise NotAuthenticated
    return await run_in_threadpool(_look_up, context.runtime, credentials.credentials)


def _with(scope: Scope) -> Any:
    async def allowed(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if scope not in caller.scopes and Scope.ADMIN not in caller.scopes:
            raise ScopeMissing(scope)
        return caller

    # The scope stands in the OpenAPI document.
    return Security(allowed, scopes=[scope])


Reading = Annotated[Caller, _with(Scope.READ)]
Writing = Annotated[Caller, _with(Scope.WRITE)]
Administering = Annotated[Caller, _with(Scope.ADMIN)]


def _look_up(runtime: Runtime, token: str) -> Caller:
    if not token.isascii() or "\x00" in token:
        raise NotAuthenticated
    with runtime.database.session_scope() as session:
        key = check_key(session, token)
        if key is None:
            raise NotAuthenticated
        scopes = frozenset(Scope(scope) for scope in key.scopes)
        return Caller(key.project, key.id, f"{key.name} ({key.prefix})", scopes, key.presets_only)
