"""What the person sees: a bar a job, then tables of what came out."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pixmill.demo.jobs import Sent, Watched
from pixmill.demo.menu import Dish

_COLOURS = {"completed": "green", "failed": "red"}


class Bars:
    """Live progress, one bar a job; plain lines where the output is no terminal."""

    def __init__(self, console: Console, sent: Sequence[Watched]) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
        )
        self._console = console
        self._progress = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {
            job.job_id: self._progress.add_task(job.title, total=100, state="queued") for job in sent
        }

    def update(self, job: Watched) -> None:
        state = job.document["stage"] or job.document["status"]
        colour = _COLOURS.get(state)
        text = f"[{colour}]{state}[/]" if colour else state
        self._progress.update(self._tasks[job.job_id], completed=job.document["progress"], state=text)
        if not self._console.is_terminal and job.is_over:
            self._console.print(f"  {job.title}: {state}")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def outputs_table(sent: list[Sent], files: dict[str, list[Path]]) -> Table:
    """A row an output.

    ``pixels`` says whether they were made, or linked because they existed; ``ms`` is from the start of the work on the
    job to its end, for all of its outputs.
    """
    table = Table(title="Outputs", title_justify="left")
    for column in ("picture", "sent as", "output", "pixels"):
        table.add_column(column, no_wrap=True)
    for column in ("size", "bytes", "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("file", no_wrap=True)
    for job in sent:
        for number, (output, path) in enumerate(zip(job.document["outputs"], files[job.job_id], strict=True)):
            first = number == 0
            table.add_row(
                job.picture.name if first else "",
                job.way if first else "",
                output["name"],
                "linked" if output["cached"] else "made",
                f"{output['width']}x{output['height']}",
                f"{output['bytes']:,}",
                str(_milliseconds(job)) if first else "",
                _linked(path),
            )
        table.add_section()
    return table


def menu_table(dishes: list[Dish]) -> Table:
    """A row a dish."""
    table = Table(title="Menu", title_justify="left")
    for column in ("category", "dish", "", "made by", "file"):
        table.add_column(column, no_wrap=True)
    last = None
    for dish in dishes:
        if last not in (None, dish.category):
            table.add_section()
        maker = f"[{'green' if dish.is_real else 'yellow'}]{dish.provider or 'nobody'}[/]"
        category = "" if dish.category == last else dish.category
        table.add_row(category, dish.japanese, dish.english, maker, _linked(dish.file) if dish.file else "")
        last = dish.category
    return table


def _linked(path: Path) -> str:
    return f"[link={path.as_uri()}]{short(path)}[/link]"


def short(path: Path) -> str:
    """Relative to where the person is, if that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _milliseconds(job: Sent) -> int:
    started, finished = (datetime.datetime.fromisoformat(job.document[name]) for name in ("started_at", "finished_at"))
    return round((finished - started).total_seconds() * 1000)
