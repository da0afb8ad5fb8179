"""``python -m tests.soak``: thousands of good and hostile files through one worker, and the plans of the API's GETs in
a database of a million rows; a table of how each went.

Exits with 1 if a job did not end as it should, was tried twice, or cost a process, if memory grew, or if a statement
reads what it need not. ``--write`` puts the tables into docs/soak.md.
"""

import argparse
import datetime
import os
import sys
import tempfile
from pathlib import Path

from pixmill_shared.runtime import Runtime
from tests.integration.shared.processes import Fleet, environment_of
from tests.servers import running_servers
from tests.soak import plans
from tests.soak.mixture import mixture
from tests.soak.plans import run_plans
from tests.soak.running import soak, start_worker, table

DOCUMENT = Path("docs/soak.md")
GROWTH = 1.2
WARM_UP = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--within", type=float, default=1800, help="seconds")
    parser.add_argument("--rows", type=int, default=1_000_000, help="jobs in the database whose plans are judged")
    parser.add_argument("--only", choices=("files", "plans"), help="one of the two")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    fine = options.only == "plans" or _files(options)
    fine &= options.only == "files" or _plans(options)
    return 0 if fine else 1


def _plans(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        planned = run_plans(directory, options.rows)
    print(plans.table(planned))
    if options.write:
        asked = f'make soak ARGS="--only plans --rows {options.rows} --write"'
        _write(1, _PLANS.format(asked=asked, today=_today(), rows=options.rows, table=plans.table(planned)))
    return not planned.report.wrong


def _files(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        with running_servers(directory / "servers") as servers:
            environment = environment_of(servers.stack.environment, servers.new_database(), directory)
            os.environ.update({key: environment[key] for key in environment if key.startswith(("PIXMILL", "DATABASE"))})
            runtime, fleet = Runtime(), Fleet(directory, environment)
            try:
                worker = start_worker(fleet, options.processes, soft_limit=10)
                # Libraries are loaded at their first use, and the heap is as large as the largest job so far.
                soak(runtime, worker, mixture(WARM_UP, large_every=20, endless_every=150), options.within)
                seen = soak(runtime, worker, mixture(options.jobs), options.within)
            finally:
                fleet.stop()
                runtime.database.dispose()
    growth = seen.memory_of(0.9, 1) / max(seen.memory_of(0, 0.1), 1)
    print(table(seen))
    if options.write:
        asked = f'make soak ARGS="--only files --jobs {options.jobs} --processes {options.processes} --write"'
        _write(0, _FILES.format(asked=asked, today=_today(), table=table(seen)))
    return not seen.wrong and growth <= GROWTH


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _write(place: int, section: str) -> None:
    """In the stead of the section that was there."""
    sections = DOCUMENT.read_text().split("\n## ")
    sections[1 + place] = section.strip() + "\n"
    DOCUMENT.write_text("\n## ".join(sections))


_FILES = """Files

Good, damaged and hostile files, stills and animations of every format, and some that take longer than is allowed, go
through one worker whose processes are never replaced. Every job must end as it should at its first try, the processes
must be the same at the end, and the memory of the last tenth of the jobs within 1.2 of that of the first, after a
warm-up of 300 more jobs in which each library and each kind of job is met.
`make test` does the same with a hundred files.

Last run: {today}, `{asked}`.

{table}
"""

_PLANS = """Statements

In a database of {rows:,} jobs, with their events, outputs, deliveries and tries, every GET of the OpenAPI document
is sent to the API: plain, with each value of each filter, for the largest page in the middle of the list, with the key
of a project that has nearly all rows and of one that has few old ones. Every statement that the API sends then is
explained (`EXPLAIN (ANALYZE, BUFFERS)`, on a connection with the API's settings). None may read a big table as a whole,
look at more than 6,000 rows of one, or read more than 4,000 pages (an index of a million rows has more); `/stats` and
`/queues`, which count, have bounds of their own, and a filter by `metadata` may take all index entries of a value (here
every fourth job has it), but not their rows. `make test` does the same with 20,000 rows. Each figure is that of the
operation's dearest statement.

Last run: {today}, `{asked}`.

{table}
"""

if __name__ == "__main__":
    sys.exit(main())
