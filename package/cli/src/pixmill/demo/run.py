"""The demonstration from start to end, on a console of the caller's."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from pixmill.client import Client
from pixmill.demo import jobs
from pixmill.demo.loopback import Loopback
from pixmill.demo.menu import SHEET, Dish, draw_sheet, save_menu, send_menu, summary
from pixmill.demo.show import Bars, menu_table, outputs_table, short
from pixmill.errors import DemoError
from pixmill.local.stack import LocalStack
from pixmill.settings import process_environment
from pixmill_shared.errors import PixmillError

_PATIENCE: Final = 120.0
_PATIENCE_WITH_MODELS: Final = 600.0
"""Seconds for all jobs."""
_HINT: Final = (
    "With a key in GEMINI_API_KEY, [bold]make demo ARGS=--real-pictures[/] has the menu drawn by Gemini, for money."
)
_SETTINGS: Final = (
    *("PIXMILL_", "CELERY_", "FLOWER_", "IMAGE_", "ASYNC_IMAGE_", "USE_REAL_IMAGE_GENERATION", "MAX_IMAGE_WORKERS"),
    *("MIN_WORKERS", "MAX_WORKERS", "CPU_THRESHOLD", "MEMORY_THRESHOLD", "QUEUE_THRESHOLD"),
    *("DATABASE_URL", "DB_", "POSTGRES_", "REDIS_", "AWS_", "PUBLISH_"),
)
"""What the variables of .env.example begin with, but for those of ``_OF_REAL_PICTURES``."""
_OF_REAL_PICTURES: Final = ("PIXMILL_GENERATION_", "GEMINI_")
_WIDEST: Final = 400
"""Columns of a terminal: a bound for the table, whose file names may be long."""


def run_demo(console: Console, images: list[Path], out: Path, *, real: bool = False) -> None:
    """Start a stack, send ``images`` (or a few that are made) and a menu, save what comes out in ``out``, stop.

    ``real``: the menu's pictures may be drawn by a provider, for money. Raises DemoError.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pixmill-demo-") as scratch:
        pictures = images or _made_pictures(Path(scratch) / "pictures")
        _run(console, Path(scratch), pictures, out.resolve(), real)


def stack_environment(given: Mapping[str, str], real: bool) -> dict[str, str]:
    """The person's variables but for settings of another pixmill, and what the demonstration needs besides.

    With keys asked for or through a proxy it would not work, and with a bucket it would write into that; what
    ``real`` pictures are drawn by and may cost stays.
    """
    kept = {name: value for name, value in given.items() if _is_kept(name)}
    # The sources and the receiver are on this machine, which the guard would refuse.
    environ = {**kept, "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}
    # A demonstration that spends money because a key happens to be there would be a bad surprise.
    return environ if real else {**environ, "USE_REAL_IMAGE_GENERATION": "false"}


def _is_kept(name: str) -> bool:
    return name.startswith(_OF_REAL_PICTURES) or not name.startswith(_SETTINGS)


def _run(console: Console, scratch: Path, pictures: list[Path], out: Path, real: bool) -> None:
    log_path = out / "stack.log"
    loopback = Loopback(pictures)
    try:
        with log_path.open("w") as log:
            stack = LocalStack(
                scratch / "data", environ=stack_environment(process_environment(), real), log=log, throwaway=True
            )
            started = time.monotonic()
            with console.status("Starting Postgres, Redis, dispatcher, workers, beat, Flower and API"):
                stack.start()
            try:
                console.print(f"The stack was ready after {time.monotonic() - started:.1f} s: {stack.urls['api']}")
                loopback.expect_signatures_of(stack.environment["PIXMILL_WEBHOOK_SECRET"])
                _show(console, stack, loopback, pictures, out, _PATIENCE_WITH_MODELS if real else _PATIENCE)
                if not real:
                    console.print(_HINT)
            finally:
                with console.status("Stopping everything"):
                    stack.stop()
    except PixmillError as error:
        raise DemoError(f"{error} (log: {log_path})") from None
    finally:
        loopback.close()
    console.print("Everything is stopped. [bold]make up[/] keeps a stack running.")


def _show(
    console: Console, stack: LocalStack, loopback: Loopback, pictures: list[Path], out: Path, patience: float
) -> None:
    with Client(stack.urls["api"]) as client:
        menu = send_menu(client, loopback.hook_url)
        sent = jobs.send(client, loopback, pictures)
        everything = [*sent, menu]
        with Bars(console, everything) as bars:
            jobs.watch(client, everything, bars.update, patience)
        failed = [job for job in everything if job.document["status"] != "completed"]
        files = {job.job_id: jobs.save(client, job, out) for job in sent}
        dishes = save_menu(client, menu, out) if menu not in failed else []
    jobs.await_webhooks(loopback, everything)
    _print_table(console, outputs_table([job for job in sent if job not in failed], files))
    if dishes:
        show_menu(console, dishes, out / SHEET)
    for job in failed:
        error = job.document["error"]
        console.print(f"[red]{job.title} failed: {error['title']}: {error['detail']}[/]")
    count = len(loopback.received.verified)
    console.print(f"{count} webhooks came, each verified with the standardwebhooks package. Outputs are in {out}")
    if failed:
        raise DemoError(f"{len(failed)} of {len(everything)} jobs failed")


def show_menu(console: Console, dishes: list[Dish], sheet: Path) -> None:
    """As a table, as a picture at ``sheet``, and in a sentence. Raises DemoError."""
    draw_sheet(dishes, sheet)
    _print_table(console, menu_table(dishes))
    colour = "green" if all(dish.is_real for dish in dishes) else "yellow"
    console.print(summary(dishes), style=colour, markup=False)  # a provider's words are in it
    console.print(f"All of them on one sheet: [link={sheet.as_uri()}]{short(sheet)}[/link]")


def _print_table(console: Console, table: Table) -> None:
    """A file name that is cut off cannot be opened: a terminal that is too narrow wraps the lines instead."""
    console.width = max(console.width, _natural_width(console, table))
    console.print(table)


def _natural_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum


def _made_pictures(directory: Path) -> list[Path]:
    """Drawn by another process: this package has no image library."""
    subprocess.run([sys.executable, "-m", "pixmill_imaging.testing", str(directory)], check=True)
    return sorted(directory.iterdir())
