"""API keys on a terminal."""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

from pixmill_shared.database.models import ApiKey
from pixmill_shared.domain.moments import utc
from pixmill_shared.service.keys import TOKEN_START

_COLUMNS = ("id", "prefix", "project", "name", "scopes", "limits", "created", "ends")


def document(key: ApiKey) -> dict[str, Any]:
    """All that may be told, as JSON."""
    return {
        "key_id": str(key.id),
        "project": key.project,
        "name": key.name,
        "prefix": f"{TOKEN_START}{key.prefix}",
        "scopes": key.scopes,
        "presets_only": key.presets_only,
        "rate_limit": key.rate_limit,
        "max_unfinished": key.max_unfinished,
        "created_at": utc(key.created_at),
        "expires_at": utc(key.expires_at),
        "revoked_at": utc(key.revoked_at),
        "former_secret_expires_at": utc(key.former_secret_expires_at),
    }


def table(keys: Iterable[ApiKey]) -> Iterator[str]:
    """A heading and a line each, in columns; what is not printable is escaped."""
    lines = [_COLUMNS, *(_cells(key) for key in keys)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(key: ApiKey) -> tuple[str, ...]:
    limits = (
        "presets only" if key.presets_only else "",
        f"{key.rate_limit}/min" if key.rate_limit is not None else "",
        f"{key.max_unfinished} jobs" if key.max_unfinished is not None else "",
    )
    ends = f"revoked {_day(key.revoked_at)}" if key.revoked_at else _day(key.expires_at) if key.expires_at else "-"
    cells = (
        *(str(key.id), f"{TOKEN_START}{key.prefix}", key.project, key.name, " ".join(key.scopes)),
        *(", ".join(filter(None, limits)) or "-", _day(key.created_at), ends),
    )
    return tuple("".join(char if char.isprintable() else repr(char)[1:-1] for char in cell) for cell in cells)


def _day(moment: datetime.datetime | None) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d") if moment else "-"
