"""Two dispatchers, and clocks that jump."""

import contextlib
import os
import signal
from typing import ClassVar

import psycopg2

from tests.faults.stack import Stack
from tests.faults.striking import DISPATCH, RENDER, Fault, FromOutside, hold_for
from tests.integration.shared.processes import Fleet
from tests.waiting import eventually


class TwoDispatchers(Fault):
    """A second one runs beside the first. One of them hangs in the middle of its work and is killed there."""

    name = "two dispatchers, one is killed"
    points = DISPATCH

    def arm(self) -> None:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            **self.stack.local.environment,
            "PIXMILL_ENV": "test",
            "PIXMILL_FAILPOINTS": str(self.stack.armed.directory),
        }
        self._fleet = Fleet(self.stack.armed.directory.parent, environment)
        self._second = self._fleet.dispatcher("second")
        self._second.wait_ready()
        (point, *_) = self.moment.points
        self.stack.armed.arm(point, "pause", count=self.moment.count(4), seconds=30)

    def act(self) -> None:
        self.wait_for_strikes()
        # The other one goes on meanwhile.
        hold_for(1)
        for strike in self.seen.strikes:
            os.kill(strike.pid, signal.SIGKILL)
            strike.file.unlink()
        self.seen.lasted = 1

    def mend(self) -> None:
        # There is none, if the round ended before this fault began.
        if hasattr(self, "_fleet"):
            self._fleet.stop()


#: The columns that hold the database's time, of what is not over.
_CLAIMS = """
    UPDATE {table} SET lease_until = lease_until + d, dispatched_at = dispatched_at + d
      FROM (SELECT make_interval(secs => %(by)s) AS d) AS by WHERE status IN ('queued', 'processing');
"""
_DELAYS = """
    UPDATE {table} SET run_at = run_at + d
      FROM (SELECT make_interval(secs => %(by)s) AS d) AS by WHERE status IN ('queued', 'processing');
"""
_RESERVATIONS = """
    UPDATE rendition_reservations SET lease_until = lease_until + d
      FROM (SELECT make_interval(secs => %(by)s) AS d) AS by;
"""
_LEASES = "".join(_CLAIMS.format(table=table) for table in ("jobs", "deliveries")) + _RESERVATIONS
_EVERYTHING = _LEASES + "".join(_DELAYS.format(table=table) for table in ("jobs", "deliveries"))
HOUR = 3600


def shift(stack: Stack, statements: str, seconds: int) -> None:
    """In one transaction, again if it was the one that gave way to another."""

    def shifted() -> bool:
        with contextlib.suppress(psycopg2.errors.DeadlockDetected):
            stack.rows(statements, {"by": seconds})
            return True
        return False

    eventually(shifted, 30)


class ClockForward(FromOutside):
    """To the rows it is the same whether the clock goes an hour forward or they go an hour back."""

    name = "clock jumps an hour forward"
    points = RENDER

    def strike(self) -> None:
        shift(self.stack, _EVERYTHING, -HOUR)


class ClockBack(FromOutside):
    """What was to happen soon would happen in an hour; then the clock is put right."""

    name = "clock jumps an hour back, and is put right"
    points = RENDER
    seconds: ClassVar[float] = 6.0

    def strike(self) -> None:
        shift(self.stack, _EVERYTHING, HOUR)

    def afterwards(self) -> None:
        hold_for(self.seconds)
        shift(self.stack, _EVERYTHING, -HOUR)


class ClockBackAndKill(FromOutside):
    """It stays an hour back, and the worker that had its lease of before is killed. Delays do last an hour longer then,
    so they are left out.
    """

    name = "clock jumps an hour back, and the render worker is killed"
    points = RENDER
    slows = 25.0

    def strike(self) -> None:
        worker = self.stack.local.pids()["imaging"]
        # No renewal may come in between.
        os.kill(worker, signal.SIGSTOP)
        shift(self.stack, _LEASES, HOUR)
        os.kill(worker, signal.SIGKILL)
