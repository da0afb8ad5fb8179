"""A backlog of a million rows against one of a hundred: make bench-backlog [ARGS="--rows 1000000 --rounds 40"]

Submit, dispatch (a window of 32), claim and finish, interleaved: the server's CPU and wall time a statement, and the
ratio to the same with 100 rows; again with a snapshot held open, as a backup does, while thousands of rows pass.
Then fairness, many writers in one lane, a message that is lost under steady load, the time from a commit to its task.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import backlog_load
from bench.backlog_statements import STATEMENTS, WINDOW, Backlog, interleaved, new_job
from tests.servers import Servers, running_servers

from pixmill_shared.repositories import jobs


def statements(servers: Servers, rows: int, rounds: int, passing: int) -> None:
    quiet, small, large = (Backlog(servers.new_database()) for _ in range(3))
    for backlog, size in ((quiet, 100), (small, 100), (large, rows)):
        backlog.fill(size)
    interleaved([quiet, large], rounds)
    _table([("100", quiet), (f"{rows:,}", large)])
    with small.old_snapshot(), large.old_snapshot():
        for backlog in (small, large):
            backlog.pass_through(passing)
        interleaved([quiet, small, large], rounds)
        print(f"with a snapshot held open and {passing:,} rows passed through:")
        _table([("100", quiet), ("100, snapshot", small), (f"{rows:,}, snapshot", large)])
        seconds = [f"{backlog.recover():.0f}" for backlog in (quiet, small, large)]
        print(f"  recovery, once a second, ms: {', '.join(seconds)}")
    for backlog in (quiet, small, large):
        backlog.database.dispose()


def _table(columns: Sequence[tuple[str, Backlog]]) -> None:
    base = columns[0][1]
    for statement in STATEMENTS:
        shown = [
            f"{name}: {b.cpu(statement):.2f} ms CPU ({b.cpu(statement) / base.cpu(statement):.2f}),"
            f" {b.wall(statement):.2f} ms ({b.wall(statement) / base.wall(statement):.2f})"
            for name, b in columns
        ]
        print(f"  {statement:9} {' | '.join(shown)}")


def fairness(servers: Servers, batches: int) -> None:
    """How many rows are dispatched before an interactive job that comes after ``batches`` of 10,000."""
    backlog = Backlog(servers.new_database())
    backlog.fill(10_000 * batches, owners=batches)
    for _ in range(30):
        backlog.take(WINDOW)
    with backlog.database.session_scope() as session:
        mine = jobs.insert(session, new_job("me"))
    before = 0
    while backlog.take(1) != [mine]:
        before += 1
    print(f"  {batches} batches of 10,000: {before} rows before an interactive job")
    backlog.database.dispose()


def load(servers: Servers, directory: Path, samples: int) -> None:
    writing = backlog_load.Database(servers.new_database(), pool_size=16, max_overflow=16)
    for _ in range(2):
        for owners in (1, backlog_load.WRITERS):
            rate, share = backlog_load.lanes(writing, owners, 4)
            print(
                f"  {backlog_load.WRITERS} writers, lanes: {owners}: {rate:,.0f} jobs/s, {share:.1f} of an owner a turn"
            )
    writing.dispose()
    steady = backlog_load.Load(servers, directory / "lost")
    back = steady.lose_a_message(60)
    print(f"  lost message: claimed after {back:.1f} s; {steady.done} jobs; most in Redis {steady.most} of {WINDOW}")
    with backlog_load.idle_system(servers, directory / "idle") as (database, dispatcher):
        before = backlog_load.cpu_of(dispatcher)
        time.sleep(10)
        print(f"  dispatcher with nothing to do: {(backlog_load.cpu_of(dispatcher) - before) * 10:.1f} % of a core")
        p50, p90, p99 = backlog_load.commit_to_task(database, samples)
        print(f"  idle, commit to claim, ms: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--passing", type=int, default=30_000, help="rows that pass while a snapshot is held")
    parser.add_argument("--samples", type=int, default=200, help="jobs on the idle system")
    parser.add_argument("--only", choices=("statements", "fairness", "load"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_servers(Path(name) / "servers") as servers:
        directory = Path(name)
        for part in ("lost", "idle"):
            (directory / part).mkdir()
        if arguments.only in (None, "load"):
            print("load", flush=True)
            load(servers, directory, arguments.samples)
        if arguments.only in (None, "fairness"):
            print("fairness", flush=True)
            for batches in (1, 10):
                fairness(servers, batches)
        if arguments.only in (None, "statements"):
            print("statements", flush=True)
            statements(servers, arguments.rows, arguments.rounds, arguments.passing)


if __name__ == "__main__":
    main()
