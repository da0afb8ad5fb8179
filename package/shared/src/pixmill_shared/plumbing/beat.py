"""Beat: Celery's process with ticks of our own, a pulse, a health port and a checked schedule.

Celery's scheduler keeps in memory what it has sent, and counts a tick that could not be published as sent. Ours asks
the rows (``service/ticking.py``): two of them side by side send each tick once.
"""

from typing import Any, Final
from zoneinfo import ZoneInfo

from celery import signals
from celery.beat import Scheduler
from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.observability.logs import get_logger, name_process
from pixmill_shared.plumbing.processes import check_broker, serve_health, stop_process
from pixmill_shared.plumbing.recorded import TICK_HEADER
from pixmill_shared.plumbing.registration import check_schedule
from pixmill_shared.plumbing.ticked import header_of
from pixmill_shared.runtime import runtime, start_runtime
from pixmill_shared.schedule import SCHEDULE
from pixmill_shared.service.ticking import Tick, Ticker
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.process import ListenSettings
from pixmill_shared.settings.schedule import ScheduleSettings

log = get_logger(__name__)

AFTER_FAILURE: Final = 1.0
"""Seconds until the next look while the broker or the database is away."""

_pulse = Pulse()


class TickScheduler(Scheduler):
    """Named by ``beat_scheduler``."""

    _connection: Any = None
    _away = False

    def setup_schedule(self) -> None:
        """There is none in memory. A wrong setting ends the process with a sentence."""
        name_process("beat")
        try:
            check_schedule()
            ListenSettings.load()
            zone, schedule = ZoneInfo(BrokerSettings.load().timezone), ScheduleSettings.load().applied_to(SCHEDULE)
            self._ticker = Ticker(start_runtime().database, schedule, zone, self._send)
        except ConfigurationError as error:
            stop_process(str(error))
        transport = self.app.connection_for_write()
        self._passing: tuple[type[BaseException], ...] = (
            *(KombuError, OSError, SQLAlchemyError),
            *transport.connection_errors,
            *transport.channel_errors,
        )

    def tick(self, *_: Any, **__: Any) -> float:
        """One look. The seconds until the next."""
        _pulse.tick()
        failpoint("beat.tick")
        try:
            pause = self._ticker.look()
        except self._passing as error:
            if not self._away:
                log.error("cannot send ticks, waiting", error=type(error).__name__)
            self._away = True
            self._disconnect()
            return AFTER_FAILURE
        if self._away:
            log.info("sends ticks again")
        self._away = False
        return pause

    def close(self) -> None:
        self._disconnect()

    def _send(self, tick: Tick) -> None:
        if self._connection is None:
            self._connection = self.app.connection_for_write()
        self.app.send_task(
            tick.entry.task.value,
            task_id=str(tick.task_id),
            queue=tick.entry.queue.value,
            expires=tick.expires,
            producer=self.app.amqp.Producer(self._connection, auto_declare=False),
            retry=False,
            # What it returns is kept. That is said in the header alone: told otherwise, Celery would have this process
            # subscribe to the result of each tick.
            ignore_result=True,
            headers={TICK_HEADER: header_of(tick.entry.name, tick.scheduled_at), "ignore_result": False},
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.collect()
            self._connection = None


@signals.beat_init.connect
def _on_beat_start(sender: Any, **_: Any) -> None:
    listen = ListenSettings.load()
    checks = {"broker": lambda: check_broker(sender.app), "database": runtime().database.ping}
    serve_health(HealthServer(_pulse, checks, listen))
    log.info("beat started", entries=len(SCHEDULE))
