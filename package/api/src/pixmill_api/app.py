"""The application: ``create_app()`` wires it together, and nothing else does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI

from pixmill_api import cors, openapi_document, problems
from pixmill_api.auth import Context
from pixmill_api.inline.worker import inline_worker
from pixmill_api.limits import RateLimiter
from pixmill_api.middleware import LastResort, RequestContext
from pixmill_api.progress import wiring
from pixmill_api.routes import (
    archives,
    audit,
    batches,
    crew,
    dead_letters,
    deliveries,
    docs,
    endpoints,
    events,
    files,
    health,
    images,
    jobs,
    keys,
    pipelines,
    presets,
    process,
    sockets,
    stats,
    tasks,
    tus,
    uploads,
)
from pixmill_api.service.backlog import Backlog
from pixmill_api.service.known_keys import KnownKeys, in_database
from pixmill_api.service.remembering import Remembering
from pixmill_api.service.stats import STATS_AGE
from pixmill_api.settings import (
    ApiSettings,
    BatchSettings,
    GenerationLimitSettings,
    LimitSettings,
    UploadSettings,
    refuse_exposure,
)
from pixmill_api.settings.cors import CorsSettings
from pixmill_api.settings.inline import InlineSettings
from pixmill_api.tus_protocol import TusProtocol
from pixmill_shared.observability.health import Readiness
from pixmill_shared.runtime import Runtime, start_runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.generation import ChunkSettings, PaceSettings
from pixmill_shared.settings.process import ListenSettings, PublicSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.secrets import RotationSettings

_RESOURCES: Final = (
    uploads,
    tus,
    process,
    jobs,
    batches,
    images,
    presets,
    pipelines,
    endpoints,
    deliveries,
    dead_letters,
    archives,
    events,
    sockets,
    tasks,
    stats,
    crew,
    keys,
    audit,
    files,
    health,
    docs,
)
"""In this order in the document."""


def create_app(runtime: Runtime | None = None) -> FastAPI:
    """Raises ConfigurationError if a setting is missing or unsafe. ``runtime``: the process' own if not given."""
    settings = ApiSettings.load()
    refuse_exposure(settings, ListenSettings.load())
    runtime, egress = runtime or start_runtime(threads=settings.threads), EgressSettings.load()
    limits, admission = LimitSettings.load(), AdmissionSettings.load()
    inline_settings = InlineSettings.load()
    inline = inline_worker(inline_settings)
    context = Context(
        runtime=runtime,
        settings=settings,
        admission=admission,
        public_url=PublicSettings.load().base,
        max_source_bytes=egress.max_source_bytes,
        uploads=UploadSettings.load(),
        batches=BatchSettings.load(),
        generation=GenerationLimitSettings.load(),
        chunks=ChunkSettings.load(),
        pace=PaceSettings.load(),
        egress_allow=egress.allow_list(),
        rotation_grace=RotationSettings.load().grace,
        archives=ArchiveSettings.load(),
        readiness=Readiness(health.checks_of(runtime, inline)),
        backlog=Backlog(admission.max_backlog),
        keys=KnownKeys(in_database(runtime), limits.key_cache_ttl),
        rates=RateLimiter(RedisSettings.load().url, limits),
        stats=Remembering(STATS_AGE),
        links=wiring.stream_links(settings),
        inline=inline,
    )
    app = FastAPI(
        title="pixmill",
        version=version("pixmill-api"),
        description="Resize, filter and re-encode pictures, asynchronously.",
        servers=[{"url": context.public_url}],
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.context = context
    wiring.install(app, context)
    problems.install(app)
    openapi_document.install(app)
    for module in _RESOURCES:
        app.include_router(module.router)

    # From the app outwards.
    app.add_middleware(TusProtocol)
    app.add_middleware(LastResort)
    cors.install(app, CorsSettings.load().origins)
    app.add_middleware(RequestContext)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    # As many threads as may hold a connection: a request waits for a thread, never for the pool's time-out.
    current_default_thread_limiter().total_tokens = context.settings.threads
    if context.inline is not None:
        context.inline.start()
    yield
    if context.inline is not None:
        await run_sync(context.inline.stop)
    await context.rates.close()
    if "database" in context.runtime.__dict__:
        context.runtime.database.dispose()
