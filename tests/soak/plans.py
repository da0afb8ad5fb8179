"""The plans of every GET of the API at a million rows: filled, asked, explained, and told as a table."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.api.running import environment
from tests.plans.explaining import shape
from tests.plans.filling import fill
from tests.plans.judging import Report, judged
from tests.servers import running_servers


@dataclass
class Planned:
    """``seconds`` that filling took."""

    rows: int
    seconds: float
    report: Report


def run_plans(directory: Path, rows: int) -> Planned:
    """With a Postgres of its own in ``directory``. Changes the environment of this process."""
    with running_servers(directory / "servers") as servers:
        url, storage = servers.new_database(), directory / "objects"
        begun = time.monotonic()
        fill(url, rows)
        seconds = time.monotonic() - begun
        os.environ.update(environment(url, storage, PIXMILL_AUTH="on", PIXMILL_RATE_LIMIT="0"))
        return Planned(rows, seconds, judged(url, storage, rows))


def table(planned: Planned) -> str:
    """A line for each operation: its dearest statement by each measure."""
    return "\n".join(_lines(planned))


def _lines(planned: Planned) -> Iterator[str]:
    yield "| GET | statements | most rows looked at, in | pages | ms |"
    yield "| --- | --- | --- | --- | --- |"
    for path, plans in planned.report.plans.items():
        kinds = len({shape(plan.statement) for plan in plans})
        rows, of_table = max(
            ((rows, name) for plan in plans for name, rows in plan.looked_at.items()), default=(0, "none")
        )
        pages, ms = max(plan.pages for plan in plans), max(plan.ms for plan in plans)
        yield f"| `{path.removeprefix('/api/v1')}` | {kinds} | {rows:,} {of_table} | {pages:,} | {ms:.1f} |"
    yield ""
    yield f"* Filling took {planned.seconds:.0f} s. What is wrong: {len(planned.report.wrong) or 'nothing'}."
    yield from (f"* {wrong}" for wrong in planned.report.wrong)
