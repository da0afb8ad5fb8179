"""A clean-up of a million old rows while jobs run beside it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cleaning.trial import KEPT, Trial, clean_beside_jobs, fill_with_old
from tests.integration.shared.processes import environment_of
from tests.servers import running_servers

SECTION = """Clean-up

A database of {rows:,} rows that are old enough to go (jobs, events, webhooks, dead letters, with their outputs and
tries), and half as many that are not, is cleaned up while two clients make, claim and complete jobs, link old
renditions and repeat old jobs. None of them may wait for a lock on a row or a table for longer than a second
(`lock_timeout`), nothing old may be left, and nothing that is young or new may be gone. `make test` does the
same with {short:,} rows.

Last run: {today}, `{asked}`.

{table}
"""
SHORT = 4_500


@dataclass
class Cleaned:
    """``filled``: seconds that filling took."""

    filled: float
    trial: Trial

    @property
    def wrong(self) -> list[str]:
        return self.trial.wrong


def run_cleanup(directory: Path, rows: int) -> Cleaned:
    """With servers of its own in ``directory``. Changes the environment of this process."""
    with running_servers(directory / "servers") as servers:
        url = servers.new_database()
        os.environ.update({**environment_of(servers.stack.environment, url, directory), **KEPT})
        os.environ["PIXMILL_DB_STATEMENT_TIMEOUT"] = "600"
        begun = time.monotonic()
        # Of each job, two thirds of which are old, three rows are counted: itself, its event, its webhook.
        fill_with_old(url, rows // 2)
        filled = time.monotonic() - begun
        del os.environ["PIXMILL_DB_STATEMENT_TIMEOUT"]
        return Cleaned(filled, clean_beside_jobs(url))


def table(cleaned: Cleaned) -> str:
    """What was deleted, how fast, and how those beside it fared."""
    trial = cleaned.trial
    lines = ["| what | rows deleted |", "| --- | --- |"]
    lines += [f"| {what} | {count:,} |" for what, count in sorted(trial.result["rows"].items()) if count]
    rate = trial.deleted / max(trial.seconds, 0.001)
    lines += [
        "",
        f"* {trial.deleted:,} rows in {trial.seconds:.0f} s, {rate:,.0f} a second, beside {trial.completed:,} jobs, "
        f"{trial.linked:,} of which linked a rendition of before. Filling took {cleaned.filled:.0f} s.",
        f"* The longest of those jobs took {trial.longest:.2f} s, from its submission to its end.",
        *(f"* WRONG: {sentence}" for sentence in trial.wrong),
    ]
    return "\n".join(lines)
