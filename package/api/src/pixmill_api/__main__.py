"""``python -m pixmill_api``: one process, on PIXMILL_BIND and PIXMILL_PORT, until SIGTERM or SIGINT."""

import gc
import signal
import socket
import sys
from functools import partial
from types import FrameType
from typing import Final

import uvicorn

from pixmill_api.app import create_app
from pixmill_api.http_protocol import HttpProtocol
from pixmill_api.inline.worker import InlineWorker
from pixmill_api.progress.hub import Hub
from pixmill_api.settings import (
    ApiSettings,
    BatchSettings,
    GenerationLimitSettings,
    LimitSettings,
    StreamSettings,
    UploadSettings,
    refuse_exposure,
)
from pixmill_api.settings.cors import CorsSettings
from pixmill_api.settings.inline import InlineSettings
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.observability.logs import configure_logging, get_logger
from pixmill_shared.runtime import start_runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.base import Settings, check_together
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.generation import ChunkSettings, PaceSettings
from pixmill_shared.settings.places import DestinationSettings, SourceSettings
from pixmill_shared.settings.process import ListenSettings, LogSettings, PublicSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.schedule import ScheduleSettings
from pixmill_shared.settings.secrets import RotationSettings, SecretSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage import prepare_directory

log = get_logger(__name__)

GRACE: Final = 20
"""Seconds that requests in flight have to end."""
BACKLOG: Final = 2048

USED: Final[tuple[type[Settings], ...]] = (
    ApiSettings,
    InlineSettings,
    UploadSettings,
    BatchSettings,
    GenerationLimitSettings,
    ChunkSettings,
    PaceSettings,
    WorkSettings,
    LimitSettings,
    AdmissionSettings,
    StreamSettings,
    CorsSettings,
    RedisSettings,
    ListenSettings,
    PublicSettings,
    LogSettings,
    DatabaseSettings,
    BrokerSettings,
    ScheduleSettings,
    StorageSettings,
    ArchiveSettings,
    SecretSettings,
    RotationSettings,
    EgressSettings,
    DestinationSettings,
    SourceSettings,
)
"""The settings of this process: all are checked at its start."""


def main() -> int:
    """The exit code."""
    try:
        _check_settings()
        configure_logging("api")
        settings = ApiSettings.load()
        runtime = start_runtime(threads=settings.threads)
        prepare_directory(runtime.storage_settings)
        # Built now, so that prefixes which overlap with the storage are told at the start.
        _ = runtime.destinations, runtime.sources
        app = create_app(runtime)
        listener = _listen(ListenSettings.load())
    except ConfigurationError as error:
        return _give_up(str(error))
    host, port = listener.getsockname()[:2]
    log.info("api started", bind=host, port=port, auth=settings.auth)
    _serve(_Server(_uvicorn_config(app, settings), app.state.context.inline, app.state.hub), listener)
    log.info("api stopped")
    return 0


def _check_settings() -> None:
    check_together(kind.load for kind in USED)
    refuse_exposure(ApiSettings.load(), ListenSettings.load())


def _listen(settings: ListenSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.bind, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.bind}:{settings.port} ({error.strerror}). "
            "Set PIXMILL_PORT to a free port, or PIXMILL_BIND to an address of this machine."
        ) from None
    return listener


def _uvicorn_config(app: object, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=partial(HttpProtocol, head_seconds=settings.request_timeout),  # type: ignore[arg-type]
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        backlog=BACKLOG,
        timeout_keep_alive=30,
        ws_ping_interval=StreamSettings.load().ping,
        timeout_graceful_shutdown=GRACE,
    )


class _Server(uvicorn.Server):
    """From the first signal on, no work is begun: what runs may end while requests do. Streams end at once."""

    def __init__(self, config: uvicorn.Config, inline: InlineWorker | None, hub: Hub) -> None:
        super().__init__(config)
        self._inline = inline
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._inline is not None:
            self._inline.begin_stop()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before connections are asked to end: a stream never would.
        await self._hub.close()
        await super().shutdown(sockets)


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn raises the signal that stopped it once more when it is done. Stopping was the wish: exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What was imported stays: to look through it again and again for garbage would cost each request a few percent.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listener])


def _give_up(message: str) -> int:
    for line in message.splitlines():
        print(f"pixmill: {line}", file=sys.stderr)  # noqa: T201 - the log may not be configured yet
    return 1


if __name__ == "__main__":
    sys.exit(main())
