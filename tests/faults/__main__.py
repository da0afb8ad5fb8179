"""``python -m tests.faults``: break pixmill on purpose, again and again, and count what was lost.

Exits with 1 if a job was lost or doubled, ended otherwise than it should, or if a fault struck nobody at work.
``--write`` puts the table into docs/reliability.md.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.faults import stack
from tests.faults.report import Table
from tests.faults.rounds import moments, play
from tests.faults.scenarios import AS_INSTALLED, FAULTS, LONGER
from tests.faults.stack import running_stack
from tests.faults.striking import Fault
from tests.s3 import S3, running_s3


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--only", action="append", choices=[*FAULTS, *AS_INSTALLED], help="may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=40, help="in each round")
    parser.add_argument("--log", type=Path, help="where the lines of all processes go")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # What the sweep says of itself is not the table.
    logging.disable(logging.INFO)
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        # Servers of a stack that root starts run as somebody else.
        directory.chmod(0o755)
        (directory / "s3").mkdir()
        with running_s3(directory / "s3") as s3:
            _run(table, options, {**FAULTS, **LONGER}, directory / "short", s3, {})
            _run(table, options, AS_INSTALLED, directory / "installed", s3, stack.AS_INSTALLED)
    print(table.text())
    return 1 if table.wrong else 0


def _run(
    table: Table,
    options: argparse.Namespace,
    faults: Mapping[str, type[Fault]],
    directory: Path,
    s3: S3,
    changes: Mapping[str, str],
) -> None:
    """Those of ``faults`` that are asked for, on one stack."""
    chosen = [kind for name, kind in faults.items() if not options.only or name in options.only]
    if not chosen:
        return
    directory.mkdir()
    with running_stack(directory, s3, **changes) as running:
        for kind in chosen:
            for moment in moments(kind, options.seed, options.rounds):
                (outcome,) = play(running, {kind: moment}, options.jobs, moment.dice)
                table.add(outcome)
                print(table.line(outcome, moment), flush=True)
                if options.write:  # each time: a run that is stopped has told what it saw
                    table.write(sys.argv[1:], options.seed)
                if options.log:
                    options.log.write_text(running.log.getvalue())


if __name__ == "__main__":
    sys.exit(main())
