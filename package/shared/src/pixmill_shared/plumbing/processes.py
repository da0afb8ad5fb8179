"""What happens when a worker, a child of it, or beat starts: signals of Celery, connected once by the app module."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

import structlog
from celery import bootsteps, signals
from kombu.utils.url import maybe_sanitize_url

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.observability.health import HealthServer
from pixmill_shared.observability.logs import configure_logging, get_logger, name_process
from pixmill_shared.plumbing.consumer import worker_pulse
from pixmill_shared.plumbing.registration import check_registration
from pixmill_shared.runtime import runtime, start_runtime, unique_name
from pixmill_shared.settings.base import check_together
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.failpoints import FailpointSettings
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

PROBE_TIMEOUT = 2.0
"""Seconds that a readiness probe waits for the broker."""


def check_broker(app: Any) -> None:
    """Raise unless the broker answers."""
    limits = {"socket_timeout": PROBE_TIMEOUT, "socket_connect_timeout": PROBE_TIMEOUT}
    options = {**app.conf.broker_transport_options, **limits}
    with app.connection_for_write(connect_timeout=PROBE_TIMEOUT, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, timeout=PROBE_TIMEOUT)
        if connection.transport.driver_type == "redis":
            connection.default_channel.client.ping()


_default_queues: list[QueueName] = []


def consume_by_default(*queues: QueueName) -> None:
    """What a worker takes that was started without ``-Q``. The last call wins: a service's, after shared's."""
    _default_queues[:] = queues


_checks: list[Callable[[], object]] = [DatabaseSettings.load, ListenSettings.load, FailpointSettings.load]


def check_at_start(*checks: Callable[[], object]) -> None:
    """What a service's worker needs: a check that raises ConfigurationError stops the process at its start, where it
    would otherwise fail each of its tasks."""
    _checks.extend(checks)


class HealthStep(bootsteps.StartStopStep):
    """Health and metrics of a worker, in its main process; the tick comes from the worker's own event loop."""

    # After the pool: its first children do not inherit the port.
    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._server: HealthServer | None = None

    def start(self, worker: Any) -> None:
        worker.timer.call_repeatedly(1.0, worker_pulse.tick)
        checks = {"database": runtime().database.ping, "broker": lambda: check_broker(worker.app)}
        self._server = HealthServer(worker_pulse, checks, ListenSettings.load())
        serve_health(self._server)
        log.info("worker started", broker=maybe_sanitize_url(worker.app.conf.broker_url))

    def stop(self, worker: Any) -> None:
        if self._server is not None:
            self._server.stop()


def serve_health(server: HealthServer) -> None:
    """Start it, or end the process with a sentence."""
    try:
        server.start()
    except OSError as error:
        stop_process(f"cannot listen on {server.address} ({error.strerror}); set PIXMILL_PORT or PIXMILL_BIND")


def stop_process(message: str) -> NoReturn:
    """Celery swallows exceptions of signal handlers, but not SystemExit."""
    print(f"pixmill: {message}", file=sys.stderr)  # noqa: T201 - the log may not be configured yet
    raise SystemExit(1)


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A wrong setting ends a process with the sentence that says what to set, not with a traceback."""
    if isinstance(error, ConfigurationError):
        print(f"pixmill: {error}", file=sys.stderr)  # noqa: T201
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _explain


@signals.setup_logging.connect
def _on_setup_logging(**_: Any) -> None:
    configure_logging("celery")


@signals.celeryd_init.connect
def _on_worker_init(instance: Any, options: dict[str, Any], **_: Any) -> None:
    if not options.get("queues"):
        # Without -Q Celery consumes all queues, and would eat messages of tasks that this service does not have.
        instance.app.amqp.queues.select([name.value for name in _default_queues])


@signals.celeryd_after_setup.connect
def _on_worker_setup(sender: str, instance: Any, **_: Any) -> None:
    name_process(sender.partition("@")[0])
    try:
        check_registration(instance.app.tasks)
        check_together(_checks)
    except ConfigurationError as error:
        stop_process(str(error))
    start_runtime(threads=_threads(instance), worker_name=unique_name(sender))


@signals.worker_process_init.connect
def _on_child_start(**_: Any) -> None:
    # The parent's sockets are the parent's: the child forgets them and opens its own.
    if "database" in runtime().__dict__:
        runtime().database.dispose(after_fork=True)
    # Its claims are its parent's, who renews them.
    start_runtime(threads=1, worker_name=runtime().worker_name)


@signals.task_prerun.connect
def _on_task_start(task_id: str, task: Any, **_: Any) -> None:
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


@signals.task_postrun.connect
def _on_task_end(**_: Any) -> None:
    # A thread or child serves many tasks; what one bound must not colour the next one's lines.
    structlog.contextvars.clear_contextvars()


def _threads(worker: Any) -> int:
    in_process = "prefork" not in str(worker.pool_cls)
    return int(worker.concurrency) if in_process else 1
