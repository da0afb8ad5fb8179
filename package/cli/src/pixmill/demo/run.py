"""The demonstration from start to end, on a console of the caller's."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from pixmill.client import Client
from pixmill.demo import jobs
from pixmill.demo.loopback import Loopback
from pixmill.demo.show import Bars, outputs_table
from pixmill.errors import DemoError
from pixmill.local.stack import LocalStack
from pixmill.settings import process_environment
from pixmill_shared.errors import PixmillError

_WIDEST: Final = 400
"""Columns of a terminal: a bound for the table, whose file names may be long."""


def run_demo(console: Console, images: list[Path], out: Path) -> None:
    """Start a stack, send ``images`` (or a few that are made), save the outputs in ``out``, stop. Raises DemoError."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pixmill-demo-") as scratch:
        pictures = images or _made_pictures(Path(scratch) / "pictures")
        _run(console, Path(scratch), pictures, out.resolve())


def _run(console: Console, scratch: Path, pictures: list[Path], out: Path) -> None:
    log_path = out / "stack.log"
    loopback = Loopback(pictures)
    # The sources and the receiver are on this machine, which the guard would refuse.
    environ = {**process_environment(), "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}
    try:
        with log_path.open("w") as log:
            stack = LocalStack(scratch / "data", environ=environ, log=log, throwaway=True)
            started = time.monotonic()
            with console.status("Starting Postgres, Redis, dispatcher, workers, beat, Flower and API"):
                stack.start()
            try:
                console.print(f"The stack was ready after {time.monotonic() - started:.1f} s: {stack.urls['api']}")
                _show(console, stack, loopback, pictures, out)
            finally:
                with console.status("Stopping everything"):
                    stack.stop()
    except PixmillError as error:
        raise DemoError(f"{error} (log: {log_path})") from None
    finally:
        loopback.close()
    console.print("Everything is stopped. [bold]make up[/] keeps a stack running.")


def _show(console: Console, stack: LocalStack, loopback: Loopback, pictures: list[Path], out: Path) -> None:
    loopback.expect_signatures_of(stack.environment["PIXMILL_WEBHOOK_SECRET"])
    with Client(stack.urls["api"]) as client:
        sent = jobs.send(client, loopback, pictures)
        with Bars(console, sent) as bars:
            jobs.watch(client, sent, bars.update)
        failed = [job for job in sent if job.document["status"] != "completed"]
        files = {job.job_id: jobs.save(client, job, out) for job in sent}
    jobs.await_webhooks(loopback, sent)
    table = outputs_table([job for job in sent if job not in failed], files)
    # A file name that is cut off cannot be opened: a terminal that is too narrow wraps the lines instead.
    console.width = max(console.width, _natural_width(console, table))
    console.print(table)
    for job in failed:
        error = job.document["error"]
        console.print(f"[red]{job.picture.name} ({job.way}) failed: {error['title']}: {error['detail']}[/]")
    count = len(loopback.received.verified)
    console.print(f"{count} webhooks came, each verified with the standardwebhooks package. Outputs are in {out}")
    if failed:
        raise DemoError(f"{len(failed)} of {len(sent)} jobs failed")


def _natural_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum


def _made_pictures(directory: Path) -> list[Path]:
    """Drawn by another process: this package has no image library."""
    subprocess.run([sys.executable, "-m", "pixmill_imaging.testing", str(directory)], check=True)
    return sorted(directory.iterdir())
