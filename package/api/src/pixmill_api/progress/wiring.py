"""What the application needs for streams: the hub, its settings, and who signs addresses."""

from fastapi import FastAPI

from pixmill_api.auth import Context
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.links import StreamLinks
from pixmill_api.progress.reading import Reader
from pixmill_api.settings import ApiSettings, StreamSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.secrets import SecretSettings


def stream_links(settings: ApiSettings) -> StreamLinks:
    """Signed where there are keys; else whoever reaches the API may watch everything."""
    ttl = StreamSettings.load().url_ttl
    return StreamLinks((lambda: SecretSettings.load().keys) if settings.keys_required else None, ttl)


def install(app: FastAPI, context: Context) -> None:
    """The process' hub, which does nothing until somebody watches. Whoever serves ``app`` closes it."""
    app.state.streams = StreamSettings.load()
    app.state.hub = Hub(
        Reader(context), context.runtime.database.url, RedisSettings.load().url, app.state.streams.max_viewers
    )
