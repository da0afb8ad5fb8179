"""Log lines: an event phrase and key=value context, bound once at the start of a task or request."""

import logging
import sys
from typing import Any

import structlog

from pixmill_shared.settings.base import Environment, RuntimeSettings
from pixmill_shared.settings.process import LogSettings

_process = ""


def name_process(name: str) -> None:
    """What ``process`` says in each line from now on: of every thread and forked child, whatever a task clears."""
    global _process  # noqa: PLW0603 - one per process is the point
    _process = name


def _add_process(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    line.setdefault("process", _process)
    return line


def configure_logging(process: str) -> None:
    """Everything, libraries included, to stderr: console lines in development, JSON elsewhere."""
    level = LogSettings.load().level.upper()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    development = RuntimeSettings.load().env is not Environment.PRODUCTION
    renderer: structlog.typing.Processor = (
        # The default formatter shows the locals of every frame, with the secrets in them, and takes seconds.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
        if development
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
    ]
    if development:
        final = final[:1]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in (
        "httpx",
        "httpcore",
        "celery.app.trace",
        "celery.worker.strategy",
        "celery.beat",
        "alembic",
        "pyvips",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    name_process(process)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
