"""The dispatcher's process, until SIGTERM or SIGINT."""

import signal
from types import FrameType
from typing import Any

from pixmill_shared.celery_app import app
from pixmill_shared.dispatcher import metrics
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.loop import Loop
from pixmill_shared.dispatcher.outlets import BrokerOutlet
from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.observability.logs import configure_logging, get_logger
from pixmill_shared.plumbing.processes import check_broker, serve_health
from pixmill_shared.runtime import start_runtime
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging("dispatcher")
    runtime, listen = start_runtime(), ListenSettings.load()
    # A wrong value is reported now, not at the first message.
    database, work, _ = runtime.database, runtime.work, BrokerSettings.load()
    pulse, wakeups = Pulse(), Wakeups(database.url)
    dispatcher = Dispatcher(runtime, BrokerOutlet(app, work))
    loop = Loop(dispatcher, wakeups, pulse, work.poll, told=metrics.BROKER_UP.set)

    def _stop(_signal: int, _frame: FrameType | None) -> Any:
        loop.stop()

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    checks = {"database": database.ping, "broker": lambda: check_broker(app)}
    serve_health(HealthServer(pulse, checks, listen))
    log.info("dispatcher started", window=work.window)
    loop.run()
    wakeups.close()


if __name__ == "__main__":
    main()
