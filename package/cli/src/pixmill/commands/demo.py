"""`pixmill demo`: start a stack, run pictures through it, show what came out, stop."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from pixmill.client import Client
from pixmill.commands.failing import exit_on_error
from pixmill.demo import jobs
from pixmill.demo.loopback import Loopback
from pixmill.demo.show import Bars, outputs_table
from pixmill.errors import DemoError, InvalidOptionError
from pixmill.local.stack import LocalStack
from pixmill.settings import process_environment
from pixmill_shared.errors import PixmillError

_TABLE_WIDTH: Final = 112


@exit_on_error("demo")
def demo(
    images: Annotated[list[Path] | None, typer.Argument(help="Pictures of yours; without any, a few are made.")] = None,
    out: Annotated[Path, typer.Option(help="Where the outputs are saved.")] = Path("demo-out"),
) -> None:
    """Send real pictures through an embedded stack, as upload and as URL; show the outputs and the webhooks."""
    console = Console(highlight=False)
    # A file name that is cut off cannot be opened: a terminal that is too narrow wraps the table's lines instead.
    console = Console(highlight=False, width=max(console.width, _TABLE_WIDTH), soft_wrap=True)
    _refuse_missing(images or [])
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
    console.print(outputs_table([job for job in sent if job not in failed], files))
    for job in failed:
        error = job.document["error"]
        console.print(f"[red]{job.picture.name} ({job.way}) failed: {error['title']}: {error['detail']}[/]")
    count = len(loopback.received.verified)
    console.print(f"{count} webhooks came, each verified with the standardwebhooks package. Outputs are in {out}")
    if failed:
        raise DemoError(f"{len(failed)} of {len(sent)} jobs failed")


def _refuse_missing(images: list[Path]) -> None:
    for path in images:
        if not path.is_file():
            raise InvalidOptionError(str(path), "is not a file; name pictures that exist")


def _made_pictures(directory: Path) -> list[Path]:
    """Drawn by another process: this package has no image library."""
    subprocess.run([sys.executable, "-m", "pixmill_imaging.testing", str(directory)], check=True)
    return sorted(directory.iterdir())
