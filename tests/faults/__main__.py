"""``python -m tests.faults``: break pixmill on purpose, again and again, and count what was lost.

Exits with 1 if a job was lost or doubled, ended otherwise than it should, or if a fault struck nobody at work.
``--write`` puts the table into docs/reliability.md.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.report import Table
from tests.faults.rounds import moments, play
from tests.faults.scenarios import FAULTS, LONGER
from tests.faults.stack import running_stack
from tests.s3 import running_s3


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=40, help="in each round")
    parser.add_argument("--log", type=Path, help="where the lines of all processes go, if something was wrong")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        # Servers of a stack that root starts run as somebody else.
        directory.chmod(0o755)
        (directory / "s3").mkdir()
        with running_s3(directory / "s3") as s3, running_stack(directory, s3) as stack:
            begun = time.monotonic()
            for fault in options.only or FAULTS:
                kind = {**FAULTS, **LONGER}[fault]
                for moment in moments(kind, options.seed, options.rounds):
                    (outcome,) = play(stack, {kind: moment}, options.jobs, moment.dice)
                    table.add(outcome)
                    print(table.line(outcome, moment), flush=True)
            table.seconds = time.monotonic() - begun
            if options.log and table.wrong:
                options.log.write_text(stack.log.getvalue())
    print(table.text())
    if options.write:
        table.write(sys.argv[1:], options.seed)
    return 1 if table.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
