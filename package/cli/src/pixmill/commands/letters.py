"""Dead letters on a terminal."""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

from pixmill_shared.database.models import DeadLetter
from pixmill_shared.domain.moments import utc
from pixmill_shared.service.replay import kind_of

_COLUMNS = ("id", "gave up", "project", "task", "tries", "replayed", "why")
_LONGEST_WHY = 100


def document(letter: DeadLetter) -> dict[str, Any]:
    """All of it, as JSON."""
    return {
        "dead_letter_id": str(letter.id),
        "project": letter.project,
        "task": letter.task,
        "kind": kind_of(letter),
        "payload": letter.payload,
        "error": letter.error,
        "attempts": letter.attempts,
        "traceback": letter.traceback,
        "created_at": utc(letter.created_at),
        "replayed_at": utc(letter.replayed_at),
        "replayed_by": letter.replayed_by,
        "replayed_as": str(letter.replayed_as) if letter.replayed_as else None,
    }


def table(letters: Iterable[DeadLetter]) -> Iterator[str]:
    """A heading and a line each, in columns; what is not printable is escaped."""
    lines = [_COLUMNS, *(_cells(letter) for letter in letters)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def lines_about(letter: DeadLetter) -> Iterator[str]:
    """One letter in full."""
    found = document(letter)
    error, traceback = found.pop("error"), found.pop("traceback")
    facts = {**found, "error": error.get("code"), "detail": error.get("detail"), "payload": found.pop("payload")}
    for name, value in facts.items():
        yield f"{name:<15} {_printable(str(value)) if value is not None else '-'}"
    if traceback:
        yield ""
        yield from (_printable(line) for line in traceback.splitlines())


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    gave_up = letter.created_at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    why = f"{letter.error.get('code') or ''} {letter.error.get('detail') or ''}".strip()
    cells = (
        *(str(letter.id), gave_up, letter.project or "-", letter.task.rpartition(".")[2] or letter.task),
        *(str(letter.attempts), "yes" if letter.replayed_at else "no", why[:_LONGEST_WHY]),
    )
    return tuple(map(_printable, cells))


def _printable(text: str) -> str:
    """Anyone can put a message on a queue: what it says must not drive the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
