"""``python -m tests.soak``: thousands of good and hostile files through one worker; a table of how it went.

Exits with 1 if a job did not end as it should, was tried twice, or cost a process, or if memory grew. ``--write`` puts
the table into docs/soak.md.
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
from tests.soak.mixture import mixture
from tests.soak.running import soak, start_worker, table

GROWTH = 1.2
WARM_UP = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--within", type=float, default=1800, help="seconds")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
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
        asked = f'make soak ARGS="--jobs {options.jobs} --processes {options.processes} --write"'
        today = datetime.datetime.now(datetime.UTC).date()
        Path("docs/soak.md").write_text(_DOCUMENT.format(asked=asked, today=today, table=table(seen)))
    return 1 if seen.wrong or growth > GROWTH else 0


_DOCUMENT = """# Soak

Good, damaged and hostile files, stills and animations of every format, and some that take longer than is allowed, go
through one worker whose processes are never replaced. Every job must end as it should at its first try, the processes
must be the same at the end, and the memory of the last tenth of the jobs within 1.2 of that of the first, after a
warm-up of 300 more jobs in which each library and each kind of job is met.
`make test` does the same with a hundred files.

Last run: {today}, `{asked}`.

{table}
"""

if __name__ == "__main__":
    sys.exit(main())
