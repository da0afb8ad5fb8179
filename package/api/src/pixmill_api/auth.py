"""What handlers share: the process' clients and limits, and who is asking."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import HTTPConnection

from pixmill_api.errors import NotAuthenticated, ScopeMissing
from pixmill_api.inline.worker import InlineWorker
from pixmill_api.limits import RateLimiter
from pixmill_api.parameters import refuse_unknown
from pixmill_api.progress.links import StreamLinks
from pixmill_api.service.backlog import Backlog
from pixmill_api.service.known_keys import KnownKeys
from pixmill_api.service.remembering import Remembering
from pixmill_api.settings import ApiSettings, BatchSettings, GenerationLimitSettings, UploadSettings
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.domain.addresses import AllowList
from pixmill_shared.observability.health import Readiness
from pixmill_shared.repositories.api_keys import CheckedKey
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.generation import ChunkSettings, PaceSettings

DEFAULT_PROJECT: Final = "default"
"""Whose everything is where keys are off."""


@dataclass(frozen=True)
class Context:
    """``public_url`` without a slash at its end; ``max_source_bytes`` limits uploads as it limits fetches, and
    ``egress_allow`` says which addresses webhooks may go to besides public ones. ``rotation_grace`` in seconds.
    """

    runtime: Runtime
    settings: ApiSettings
    admission: AdmissionSettings
    public_url: str
    max_source_bytes: int
    uploads: UploadSettings
    batches: BatchSettings
    generation: GenerationLimitSettings
    chunks: ChunkSettings
    pace: PaceSettings
    egress_allow: AllowList
    rotation_grace: int
    archives: ArchiveSettings
    readiness: Readiness
    backlog: Backlog
    keys: KnownKeys
    rates: RateLimiter
    #: What dashboards ask for again and again.
    stats: Remembering[dict[str, Any]]
    links: StreamLinks
    #: Where this process works itself, always or while the broker is down.
    inline: InlineWorker | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Rows belong to the project, so a rotated key still sees them. ``name`` is for the audit; ``max_unfinished``: jobs
    that the key may have under way, 0: no limit.
    """

    project: str
    api_key_id: uuid.UUID | None = None
    name: str = "api"
    scopes: frozenset[Scope] = frozenset(Scope)
    presets_only: bool = False
    max_unfinished: int = 0


ANYONE: Final = Caller(DEFAULT_PROJECT)
"""Who asks where keys are off."""


async def _context(request: Request) -> Context:
    if request.scope["query_string"]:
        refuse_unknown(request)
    found: Context = request.app.state.context
    return found


Shared = Annotated[Context, Depends(_context)]


async def caller_of(connection: HTTPConnection, scope: Scope) -> Caller:
    """Whose key the request, or the opening of a WebSocket, came with, if that key has the scope.

    Raises NotAuthenticated, RateLimited, LimitsUnknown, ScopeMissing, and the database's errors.
    """
    context: Context = connection.app.state.context
    if not context.settings.keys_required:
        connection.state.caller = ANYONE
        return ANYONE
    kind, token = get_authorization_scheme_param(connection.headers.get("Authorization"))
    if kind.lower() != "bearer":
        raise NotAuthenticated
    key = await context.keys.find(token)
    # For the log, also of what is refused from here on.
    connection.state.caller = caller = _caller(key, context.admission)
    answer_headers: dict[str, str] = getattr(connection.state, "answer_headers", {})
    await context.rates.admit(key.id, key.rate_limit, answer_headers)
    if scope not in key.scopes and Scope.ADMIN not in key.scopes:
        raise ScopeMissing(scope)
    return caller


def _caller(key: CheckedKey, admission: AdmissionSettings) -> Caller:
    most = admission.max_unfinished if key.max_unfinished is None else key.max_unfinished
    return Caller(key.project, key.id, f"{key.name} ({key.prefix})", key.scopes, key.presets_only, most)


class Bearer(SecurityBase):
    """One dependency does it all: each costs a request a tenth of a millisecond."""

    model = BearerModel(bearerFormat="pxm_…", description="An API key; operations name the scope that it must have")
    scheme_name = "ApiKey"

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(self, connection: HTTPConnection) -> Caller:
        return await caller_of(connection, self._scope)


def _with(scope: Scope) -> Any:
    return Security(Bearer(scope), scopes=[str(scope)])


Reading = Annotated[Caller, _with(Scope.READ)]
Writing = Annotated[Caller, _with(Scope.WRITE)]
Administering = Annotated[Caller, _with(Scope.ADMIN)]
