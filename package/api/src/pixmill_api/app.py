"""The application: ``create_app()`` wires it together, and nothing else does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from pixmill_api import openapi_document, problems
from pixmill_api.auth import Context
from pixmill_api.limits import RateLimiter
from pixmill_api.middleware import RequestContext
from pixmill_api.routes import (
    audit,
    batches,
    dead_letters,
    deliveries,
    docs,
    endpoints,
    files,
    health,
    jobs,
    keys,
    presets,
    process,
    tasks,
    uploads,
)
from pixmill_api.service.backlog import Backlog
from pixmill_api.service.known_keys import KnownKeys
from pixmill_api.settings import ApiSettings, BatchSettings, LimitSettings, UploadSettings, refuse_exposure
from pixmill_shared.observability.health import Readiness
from pixmill_shared.runtime import Runtime, start_runtime
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.process import ListenSettings, PublicSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.secrets import RotationSettings


def create_app(runtime: Runtime | None = None) -> FastAPI:
    """Raises ConfigurationError if a setting is missing or unsafe. ``runtime``: the process' own if not given."""
    settings = ApiSettings.load()
    refuse_exposure(settings, ListenSettings.load())
    runtime, egress = runtime or start_runtime(threads=settings.threads), EgressSettings.load()
    limits = LimitSettings.load()
    context = Context(
        runtime=runtime,
        settings=settings,
        limits=limits,
        public_url=PublicSettings.load().base,
        max_source_bytes=egress.max_source_bytes,
        uploads=UploadSettings.load(),
        batches=BatchSettings.load(),
        egress_allow=egress.allow_list(),
        rotation_grace=RotationSettings.load().grace,
        readiness=Readiness(health.checks_of(runtime)),
        backlog=Backlog(settings.max_backlog),
        keys=KnownKeys(runtime, limits.key_cache_ttl),
        rates=RateLimiter(RedisSettings.load().url, limits),
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
    problems.install(app)
    openapi_document.install(app)
    for module in (
        uploads,
        process,
        jobs,
        batches,
        presets,
        endpoints,
        deliveries,
        dead_letters,
        tasks,
        keys,
        audit,
        files,
        health,
        docs,
    ):
        app.include_router(module.router)

    app.add_middleware(RequestContext)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    # As many threads as may hold a connection: a request waits for a thread, never for the pool's time-out.
    current_default_thread_limiter().total_tokens = context.settings.threads
    yield
    await context.rates.close()
    if "database" in context.runtime.__dict__:
        context.runtime.database.dispose()
