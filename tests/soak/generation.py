"""The core of generation under everything that may happen to it at once, and what came of it."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from structlog.testing import capture_logs

from tests.servers import running_servers
from tests.soak.generating import Load, Stress
from tests.soak.generation_checks import judged
from tests.soak.generation_crew import Seen

SECTION = """Generation

For {seconds:g} s there are {jobs} unfinished jobs that generate pictures, of prompts that were just drawn for another
job or are being drawn for it. Two dispatchers publish every fourth message twice, and with another fourth an older one
again. Two workers of {threads} threads each share them, and in {silent:.0%} of the claims one hangs without a lease,
for half to twice as long as one lasts ({lease:g} s), and goes on then. Of twenty calls the provider answers two with
500, one with 429, and refuses one. Jobs are canceled and deleted. At the end all jobs must have ended; the counts of
jobs, items, chunks and events must agree; each item must have all outputs of its recipe, of one picture, each
rendition its object and each object its rendition; and never may more than {image_workers} chunks have been worked on
at once. `make test` does the same for some seconds.

Last run: {today}, `{asked}`.

{table}
"""


@dataclass
class Generated:
    """``seconds`` until the last job had ended; ``jobs`` by status, of those that were not deleted; ``items`` that were
    finished of them; ``wrong``: sentences.
    """

    seconds: float
    jobs: Counter[str]
    items: int
    seen: Seen
    wrong: list[str]


def run_generation(directory: Path, load: Load) -> Generated:
    """With servers of its own in ``directory``. What is logged meanwhile, of thousands of failures, is not shown."""
    with running_servers(directory / "servers") as servers, capture_logs():
        return generate_under_stress(servers.new_database(), directory, load)


def generate_under_stress(url: str, directory: Path, load: Load) -> Generated:
    """In an empty database."""
    stress, begun = Stress(url, directory, load), time.monotonic()
    try:
        stress.run()
        return _told(stress, time.monotonic() - begun, load)
    finally:
        stress.close()


def _told(stress: Stress, seconds: float, load: Load) -> Generated:
    easel, seen = stress.easel, stress.seen
    wrong = [*judged(easel), *(f"{count} times: {error}" for error, count in seen.errors.items())]
    if seen.most > load.image_workers:
        wrong.append(f"{seen.most} chunks were worked on at once")
    ends = easel.scalar("SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) n FROM jobs GROUP BY 1) s")
    items = easel.scalar("SELECT count(*) FROM generation_items WHERE finished_at IS NOT NULL")
    return Generated(seconds, Counter(ends), items, seen, wrong)


def table(made: Generated) -> str:
    """How the jobs ended, and what was done to them."""
    seen = made.seen
    lines = ["| end | jobs |", "| --- | --- |"]
    lines += [f"| {status} | {count:,} |" for status, count in sorted(made.jobs.items())]
    lines += [f"| deleted afterwards | {seen.deleted:,} |", ""]
    lines += [
        f"* {seen.submitted:,} jobs in {made.seconds:.0f} s. Those that are there have {made.items:,} finished items. "
        f"The provider was called {seen.drawn:,} times.",
        f"* {seen.expired:,} leases ran out, {seen.canceled:,} jobs were canceled, and at most {seen.most} chunks were "
        "worked on at once.",
        *(f"* WRONG: {sentence}" for sentence in made.wrong),
    ]
    return "\n".join(lines)
