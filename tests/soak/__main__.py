"""``python -m tests.soak``: thousands of good and hostile files through one worker, the plans of the API's GETs in a
database of a million rows, beats that are killed, a pool under a burst of jobs, a clean-up, and jobs that generate
while all goes wrong at once; a table of how each went.

Exits with 1 if a job did not end as it should, was tried twice, or cost a process, if memory grew, if a statement reads
what it need not, if a tick was run twice or did not come, if a pool did not grow or come back in time, or if the rows
and objects of jobs that generate do not agree. ``--write`` puts the tables into docs/soak.md.
"""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pixmill_shared.runtime import Runtime
from tests.integration.shared.processes import Fleet, environment_of
from tests.servers import running_servers
from tests.soak import autoscaling, beats, cleanup, generation, plans
from tests.soak.generating import Load
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
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="jobs whose plans are judged, or old rows to delete"
    )
    parser.add_argument("--seconds", type=float, default=300, help="that beats are killed for")
    parser.add_argument("--burst", type=int, default=2000, help="jobs for the pool that sizes itself")
    parser.add_argument("--only", choices=tuple(PARTS), help="one of them")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wanted = [options.only] if options.only else list(PARTS)
    ends = [PARTS[name](options) for name in wanted]
    return 0 if all(ends) else 1


@contextmanager
def _directory() -> Iterator[Path]:
    """Of this run, and readable for the user of its servers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def _plans(options: argparse.Namespace) -> bool:
    with _directory() as directory:
        planned = run_plans(directory, options.rows)
    print(plans.table(planned))
    if options.write:
        asked = f'make soak ARGS="--only plans --rows {options.rows} --write"'
        _write(_PLANS.format(asked=asked, today=_today(), rows=options.rows, table=plans.table(planned)))
    return not planned.report.wrong


def _beats(options: argparse.Namespace) -> bool:
    with _directory() as directory:
        seen = beats.run_beats(directory, options.seconds)
    print(beats.table(seen))
    if options.write:
        asked = f'make soak ARGS="--only beats --seconds {options.seconds:g} --write"'
        _write(_BEATS.format(asked=asked, today=_today(), every=beats.KILL_EVERY, table=beats.table(seen)))
    return not seen.wrong


def _autoscaler(options: argparse.Namespace) -> bool:
    with _directory() as directory:
        seen = autoscaling.run_burst(directory, options.burst, options.within)
    print(autoscaling.table(seen))
    if options.write:
        asked = f'make soak ARGS="--only autoscaler --burst {options.burst} --write"'
        bounds = {"least": autoscaling.LEAST, "most": autoscaling.MOST, "cool_down": autoscaling.COOL_DOWN}
        _write(_POOL.format(asked=asked, today=_today(), burst=options.burst, **bounds, table=autoscaling.table(seen)))
    return not seen.wrong


def _files(options: argparse.Namespace) -> bool:
    with _directory() as directory, running_servers(directory / "servers") as servers:
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
        _write(_FILES.format(asked=asked, today=_today(), table=table(seen)))
    return not seen.wrong and growth <= GROWTH


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _write(section: str) -> None:
    """In the stead of the section of that title, or as the last one."""
    head, *sections = DOCUMENT.read_text().split("\n## ")
    title, section = section.partition("\n")[0], section.strip() + "\n"
    titles = [each.partition("\n")[0] for each in sections]
    if title in titles:
        sections[titles.index(title)] = section
    else:
        sections.append(section)
    DOCUMENT.write_text("\n## ".join([head, *sections]))


def _cleanup(options: argparse.Namespace) -> bool:
    with _directory() as directory:
        cleaned = cleanup.run_cleanup(directory, options.rows)
    print(cleanup.table(cleaned))
    if options.write:
        asked = f'make soak ARGS="--only cleanup --rows {options.rows} --write"'
        told = {"rows": options.rows, "short": cleanup.SHORT, "asked": asked, "today": _today()}
        _write(cleanup.SECTION.format(**told, table=cleanup.table(cleaned)))
    return not cleaned.wrong


def _generation(options: argparse.Namespace) -> bool:
    load = Load(options.seconds)
    with _directory() as directory:
        made = generation.run_generation(directory, load)
    print(generation.table(made))
    if options.write:
        asked = f'make soak ARGS="--only generation --seconds {options.seconds:g} --write"'
        _write(generation.SECTION.format(**asdict(load), asked=asked, today=_today(), table=generation.table(made)))
    return not made.wrong


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "files": _files,
    "plans": _plans,
    "beats": _beats,
    "autoscaler": _autoscaler,
    "cleanup": _cleanup,
    "generation": _generation,
}


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

_BEATS = """Beats

Two beats send a heartbeat each second, for a worker of two threads. Every {every:g} s one of the two, in turn, is
killed (`kill -9`) and another one started. No tick may be run twice, and none may be 15 s late. `make test` does the
same for twenty seconds.

Last run: {today}, `{asked}`.

{table}
"""

_POOL = """The pool of a worker

{burst:,} jobs are committed at once for a worker that may have {least} to {most} processes, with a `QUEUE_THRESHOLD` of
100 and a cool-down of {cool_down} s (the default is 60). It must have all of them within 5 s, and {least} again after
the burst; every job must be completed at its first try. `make test` does it with some dozen jobs and five processes.

Last run: {today}, `{asked}`.

{table}
"""

if __name__ == "__main__":
    sys.exit(main())
