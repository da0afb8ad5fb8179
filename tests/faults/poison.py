"""Jobs that take their process with them, each time that they are tried."""

from typing import ClassVar, Final

from tests.faults.striking import STRIKES_WITHIN, Fault

POINT: Final = "body.opened"
ATTEMPTS: Final = 3


class Poison(Fault):
    """One job for each of ``actions``: it is tried three times, fails as it should, and leaves a dead letter."""

    points = (POINT,)
    actions: ClassVar[dict[str, dict[str, int]]]
    #: The code that the job fails with, where the worker knows more than that the process is gone.
    codes: ClassVar[dict[str, str]] = {"sleep": "time_limit"}
    slows = 25.0

    def arm(self) -> None:
        self.stack.neighbours.hold()
        self.jobs = {action: self.load.send("held", self._code(action)) for action in self.actions}
        for action, job_id in self.jobs.items():
            self.stack.armed.arm(POINT, action, key=job_id, keep=True, **self.actions[action])
        self.stack.neighbours.release()

    def act(self) -> None:
        self.seen.wanted = ATTEMPTS * len(self.jobs)
        self.wait_for_strikes(STRIKES_WITHIN * 2)

    def check(self) -> None:
        for action, job_id in self.jobs.items():
            strikes = [strike for strike in self.stack.armed.strikes() if strike.key == job_id]
            if len(strikes) != ATTEMPTS:
                self.seen.wrong.append(f"the job that does {action} was tried {len(strikes)} times")
            letters = self.stack.rows(
                "SELECT attempts, error->>'code' AS code FROM dead_letters WHERE payload->>'job_id' = %s", (job_id,)
            )
            if letters != [{"attempts": ATTEMPTS, "code": self._code(action)}]:
                self.seen.wrong.append(f"the job that does {action} left the dead letters {letters}")

    def _code(self, action: str) -> str:
        return self.codes.get(action, "attempts_exhausted")


class AllPoisons(Poison):
    name = "jobs that segfault, allocate and sleep"
    actions: ClassVar = {"segfault": {}, "allocate": {"megabytes": 128}, "sleep": {}}


class Segfault(Poison):
    name = "a job that segfaults its process"
    actions: ClassVar = {"segfault": {}}


class Allocate(Poison):
    name = "a job that allocates until it is killed"
    actions: ClassVar = {"allocate": {"megabytes": 128}}


class Sleep(Poison):
    name = "a job that sleeps past every limit"
    actions: ClassVar = {"sleep": {}}
