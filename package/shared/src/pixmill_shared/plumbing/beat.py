"""Beat: Celery's scheduler with a pulse, a health port and a checked schedule."""

from typing import Any

from celery import signals
from celery.beat import Scheduler

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.failpoints import arm, failpoint
from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.observability.logs import get_logger, name_process
from pixmill_shared.plumbing.processes import check_broker, serve_health, stop_process
from pixmill_shared.plumbing.registration import check_schedule
from pixmill_shared.settings.failpoints import FailpointSettings
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

_pulse = Pulse()


class PulseScheduler(Scheduler):
    """Keeps its last runs in memory: every entry processes all that is due, so a tick after a restart harms nothing."""

    def _ensure_connected(self) -> Any:
        # Tried for as long as it takes, in steps: a beat without its broker is alive.
        def failed(error: Exception, interval: float) -> None:
            log.error("no connection to the broker", error=str(error), next_try=interval)

        return self.connection.ensure_connection(failed, interval_max=5, callback=_pulse.tick)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        _pulse.tick()
        failpoint("beat.tick")
        return float(super().tick(*args, **kwargs))


@signals.beat_init.connect
def _on_beat_start(sender: Any, **_: Any) -> None:
    name_process("beat")
    try:
        check_schedule()
        listen = ListenSettings.load()
        arm(FailpointSettings.load().directory)
    except ConfigurationError as error:
        stop_process(str(error))
    serve_health(HealthServer(_pulse, {"broker": lambda: check_broker(sender.app)}, listen))
    log.info("beat started", entries=len(sender.app.conf.beat_schedule))
