"""Start groups of processes in order, each when the one before is ready; stop them in reverse."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from pixmill.errors import StackError, StopRequestedError
from pixmill.local.child import ProcessSpec
from pixmill.local.keeper import Keeper, RestartPolicy
from pixmill.local.logs import LogSink


class Supervisor:
    """Processes of one group start together; the next group starts when all of them are ready.

    Everything happens in one thread of its own, which lives as long as the processes that it started. The
    methods may be called from any other thread, and the requests from a signal handler.
    """

    def __init__(
        self, groups: Sequence[Sequence[ProcessSpec]], sink: LogSink, policy: RestartPolicy | None = None
    ) -> None:
        self._groups = groups
        self._sink = sink
        self._policy = policy or RestartPolicy()
        self._loop = asyncio.new_event_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._keepers: list[list[Keeper]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._started: Future[None] = Future()
        self._finished: Future[None] = Future()
        self._hard = False
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)

    def start(self) -> None:
        """Return when everything is ready. Raises StackError when that fails; then everything is stopped again."""
        self._thread.start()
        self._started.result()

    def wait(self, timeout: float | None = None) -> None:
        """Return when everything has been stopped on request; raise the StackError that ended it otherwise.

        Raises TimeoutError when all is well for ``timeout`` seconds.
        """
        self._finished.result(timeout)

    def stop(self) -> None:
        """Stop everything, in reverse, and return when it is. Harmless when it is already."""
        self.request_stop()
        if self._thread.is_alive():
            self._thread.join()
        elif not self._loop.is_closed() and not self._finished.done():
            self._loop.close()

    def request_stop(self) -> None:
        """Begin to stop, without waiting."""
        self._call(self._end_with, None)

    def kill(self) -> None:
        """Stop now, without grace."""
        self._call(self._kill_all)

    def pids(self) -> dict[str, int]:
        """Of the processes that run, by name."""
        keepers = [keeper for group in self._keepers for keeper in group]
        return {k.spec.name: k.child.pid for k in keepers if k.child is not None and k.child.is_running()}

    def _call(self, function: object, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: all has ended
            return

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        outcome: BaseException | None = None
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:  # noqa: BLE001 - the thread's boundary: handed to whoever waits
            outcome = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
        self._settle(outcome)

    def _settle(self, outcome: BaseException | None) -> None:
        if not self._started.done():
            self._started.set_exception(outcome or StopRequestedError("Stopped while it was starting."))
        if outcome is None:
            self._finished.set_result(None)
        else:
            self._finished.set_exception(outcome)

    async def _main(self) -> None:
        try:
            for group in self._groups:
                await self._start_group(group)
                if self._end.done():
                    break
            else:
                self._started.set_result(None)
            await self._end
        finally:
            await self._stop_all()

    async def _start_group(self, group: Sequence[ProcessSpec]) -> None:
        keepers = [Keeper(spec, self._sink, self._policy) for spec in group]
        self._keepers.append(keepers)
        for keeper in keepers:
            task = self._loop.create_task(keeper.run())
            task.add_done_callback(self._keeper_ended)
            self._tasks.append(task)
        ready = asyncio.ensure_future(_all_ready(keepers))
        await asyncio.wait((ready, self._end), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()

    async def _stop_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for group in reversed(self._keepers):
            for keeper in group:
                if keeper.child is not None and keeper.child.is_running():
                    self._sink.note(f"stopping {keeper.spec.name}")
            await asyncio.gather(*(keeper.stop(0 if self._hard else keeper.spec.grace) for keeper in group))

    def _keeper_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._end_with(error if isinstance(error, StackError) else StackError(f"The stack broke: {error!r}"))

    def _end_with(self, error: BaseException | None) -> None:
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)

    def _kill_all(self) -> None:
        self._hard = True
        self._end_with(None)
        for group in self._keepers:
            for keeper in group:
                if keeper.child is not None:
                    keeper.child.kill()


async def _all_ready(keepers: Sequence[Keeper]) -> None:
    for keeper in keepers:
        await keeper.ready.wait()
