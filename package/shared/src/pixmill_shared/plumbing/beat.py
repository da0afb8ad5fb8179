"""Beat: Celery's scheduler with a pulse, a health port and a checked schedule."""

from typing import Any

from celery import signals
from celery.beat import Scheduler

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.processes import check_broker, stop_process
from pixmill_shared.plumbing.registration import check_schedule
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

_pulse = Pulse()


class PulseScheduler(Scheduler):
    """Keeps its last runs in memory: every entry processes all that is due, so a tick after a restart harms nothing."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        _pulse.tick()
        return float(super().tick(*args, **kwargs))


@signals.beat_init.connect
def _on_beat_start(sender: Any, **_: Any) -> None:
    try:
        check_schedule()
    except ConfigurationError as error:
        stop_process(str(error))
    server = HealthServer(_pulse, {"broker": lambda: check_broker(sender.app)}, ListenSettings.load())
    try:
        server.start()
    except OSError as error:
        settings = ListenSettings.load()
        stop_process(f"beat cannot listen on {settings.bind}:{settings.port} ({error.strerror}); set PIXMILL_PORT")
    log.info("beat started", entries=len(sender.app.conf.beat_schedule))
