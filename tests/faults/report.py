"""What a run came to, for people."""

import datetime
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.rounds import Outcome
from tests.faults.striking import Moment

DOCUMENT: Final = Path("docs/reliability.md")
_BEGIN: Final = "<!-- written by make chaos: begin -->"
_END: Final = "<!-- written by make chaos: end -->"
_HEAD: Final = (
    "| fault | struck at work | jobs | lost | doubled | webhooks twice | run again after, s | slowest other, s |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass
class Table:
    """Outcomes of rounds; one line for each fault."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.setdefault(outcome.name, []).append(outcome)

    @property
    def wrong(self) -> list[str]:
        return [f"{name}: {said}" for name, rounds in self.outcomes.items() for one in rounds for said in one.wrong]

    def line(self, outcome: Outcome, moment: Moment) -> str:
        """Of one round, as it ends."""
        found = outcome.findings
        again = f", again after {max(outcome.again):.1f} s" if outcome.again else ""
        head = f"{outcome.name} at {', '.join(moment.points)}: {found.jobs} jobs in {outcome.seconds:.0f} s{again}"
        said = [f"    WRONG: {sentence}" for sentence in outcome.wrong[:12]]
        return "\n".join([f"{head}, slowest other {found.slowest:.1f} s, {dict(found.ends)}", *said])

    def text(self) -> str:
        """The whole table."""
        lines = [_HEAD, *(_row(name, rounds) for name, rounds in self.outcomes.items())]
        jobs = [one.findings for rounds in self.outcomes.values() for one in rounds]
        lost, doubled = sum(len(one.lost) for one in jobs), sum(len(one.doubled) for one in jobs)
        total = f"{sum(one.jobs for one in jobs)} jobs, {lost} lost, {doubled} doubled"
        return "\n".join(
            [*lines, "", f"Together: {total}, in {time.monotonic() - self.begun:.0f} s.", *self.wrong[:40]]
        )

    def write(self, arguments: list[str], seed: int) -> None:
        """Into the document, between its two marks."""
        before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        given = [word for word in arguments if word != "--write"]
        if "--seed" not in given:
            given += ["--seed", str(seed)]
        said = f'Last run: {datetime.datetime.now(datetime.UTC).date()}, `make chaos ARGS="{" ".join(given)}"`.'
        DOCUMENT.write_text(f"{before}{_BEGIN}\n{said}\n\n{self.text()}\n{_END}{after}")


def _row(name: str, rounds: list[Outcome]) -> str:
    found = [one.findings for one in rounds]
    struck = sum(len(one.seen.strikes) for one in rounds)
    missed = sum(not one.seen.strikes for one in rounds)
    again = [seconds for one in rounds for seconds in one.again]
    cells = (
        name,
        f"{struck}" + (f", NOT RUN {missed}" if missed else ""),
        sum(one.jobs for one in found),
        sum(len(one.lost) for one in found),
        sum(len(one.doubled) for one in found),
        sum(one.repeats for one in found),
        f"{statistics.median(again):.1f}, at most {max(again):.1f}" if again else "",
        f"{max(one.slowest for one in found):.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"
