"""Keep one process running: probe it until ready, start it again when it dies, give up when it keeps dying."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from pixmill.errors import ProcessFailedError
from pixmill.local.child import Child, ProcessSpec, describe_exit
from pixmill.local.logs import LogSink

_PROBE_SECONDS = 0.1
_PROBE_TIMEOUT = 5.0


@dataclass(frozen=True)
class RestartPolicy:
    """Times in seconds. The delay doubles with each death within ``window``."""

    window: float = 60
    first_delay: float = 0.5
    longest_delay: float = 8


class Keeper:
    """``ready`` is set while the process answers; `run` ends only for a process with one job, or by raising."""

    def __init__(self, spec: ProcessSpec, sink: LogSink, policy: RestartPolicy) -> None:
        self.spec = spec
        self.ready = asyncio.Event()
        self.child: Child | None = None
        self._sink = sink
        self._policy = policy
        self._deaths: deque[float] = deque()

    async def run(self) -> None:
        """Raises ProcessFailedError when the process fails for good."""
        while True:
            self.child = Child(self.spec, self._sink)
            code = await self._until_exit(self.child)
            self.ready.clear()
            if self.spec.ready is None:
                if code != 0:
                    raise ProcessFailedError(f"{self.spec.name} failed ({describe_exit(code)}).{_tail(self.child)}")
                self.ready.set()
                return
            delay = self._delay_after_death(self.child, code)
            self._sink.note(f"{self.spec.name} died ({describe_exit(code)}): starting it again in {delay:g} s")
            await asyncio.sleep(delay)

    async def stop(self, grace: float) -> None:
        """Of the process; `run` has been cancelled before."""
        if self.child is not None:
            await self.child.stop(grace)

    async def _until_exit(self, child: Child) -> int:
        exit_ = asyncio.ensure_future(child.exited())
        probe = asyncio.ensure_future(self._until_ready(child))
        try:
            await asyncio.wait({exit_, probe}, return_when=asyncio.FIRST_COMPLETED)
            if probe.done():
                probe.result()
            return await exit_
        finally:
            exit_.cancel()
            probe.cancel()
            await asyncio.gather(exit_, probe, return_exceptions=True)

    async def _until_ready(self, child: Child) -> None:
        if self.spec.ready is None:
            return
        deadline = time.monotonic() + self.spec.start_timeout
        while not await self._probe():
            if time.monotonic() > deadline:
                raise ProcessFailedError(
                    f"{self.spec.name} was not ready within {self.spec.start_timeout:g} s.{_tail(child)}"
                )
            await asyncio.sleep(_PROBE_SECONDS)
        self.ready.set()
        if self._deaths:
            self._sink.note(f"{self.spec.name} is back")

    async def _probe(self) -> bool:
        if self.spec.ready is None:
            return True
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes as the answer does, and the
            # probe of a dead process would go on and call the next one ready.
            async with asyncio.timeout(_PROBE_TIMEOUT):
                return await self.spec.ready()
        except TimeoutError:
            return False

    def _delay_after_death(self, child: Child, code: int) -> float:
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - self._policy.window:
            self._deaths.popleft()
        if len(self._deaths) >= self.spec.max_deaths:
            raise ProcessFailedError(
                f"{self.spec.name} died {len(self._deaths)} times within {self._policy.window:g} s "
                f"(now with {describe_exit(code)}): giving up.{_tail(child)}"
            )
        delay = self._policy.first_delay * 2.0 ** (len(self._deaths) - 1)
        return min(delay, self._policy.longest_delay)


def _tail(child: Child) -> str:
    if not child.tail:
        return " It wrote nothing."
    return " Its last lines:\n" + "\n".join(f"  {line}" for line in child.tail)
