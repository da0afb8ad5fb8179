"""Versions of presets. ``find`` is prepared SQL, because submissions ask it; the rest is SQLAlchemy.

A version is usable while neither it nor a later one is a deletion, that is, has no recipe.
"""

import datetime
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from pixmill_shared.database.models import Preset
from pixmill_shared.database.prepared import Prepared

_NAMESPACE: Final = 5_221_840_137_220_961  # any constant of ours: other advisory locks have other numbers

_FIND = Prepared(
    """
    SELECT p.name, p.version, p.recipe, p.description, p.created_at FROM presets p
    WHERE p.project = $1 AND p.name = $2 AND ($3 IS NULL OR p.version = $3)
      AND NOT EXISTS (SELECT FROM presets later
                      WHERE later.project = p.project AND later.name = p.name AND later.version >= p.version
                        AND later.recipe IS NULL)
    ORDER BY p.version DESC LIMIT 1
    """,
    *("text", "text", "integer"),
)


class Version(NamedTuple):
    """``recipe`` in canonical form. ``version`` 0 without ``created_at``: built in."""

    name: str
    version: int
    recipe: dict[str, Any]
    description: str
    created_at: datetime.datetime | None


def find(session: Session, project: str, name: str, version: int | None = None) -> Version | None:
    """The newest, or the one that is asked for; None also for what was deleted."""
    rows = _FIND.run(session, project, name, version)
    return Version(**rows[0]) if rows else None


def page(session: Session, project: str, *, limit: int, after: str | None) -> Sequence[Version]:
    """The newest version of each, by name; one more than ``limit`` if there are more."""
    later = aliased(Preset)
    superseded = exists().where(
        later.project == Preset.project, later.name == Preset.name, later.version > Preset.version
    )
    query = select(Preset.name, Preset.version, Preset.recipe, Preset.description, Preset.created_at).where(
        Preset.project == project, Preset.recipe.is_not(None), ~superseded
    )
    if after is not None:
        query = query.where(Preset.name > after)
    return [Version(*row) for row in session.execute(query.order_by(Preset.name).limit(limit + 1))]


def lock(session: Session, project: str, name: str) -> None:
    """Whoever else writes the preset waits until the transaction ends. What was read before may be old."""
    key = func.hashtextextended(f"{len(project)}:{project}{name}", _NAMESPACE)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def add(session: Session, project: str, name: str, recipe: dict[str, Any] | None, description: str = "") -> Version:
    """The next version, under the ``lock``; without a recipe the deletion of the preset."""
    last = session.scalar(select(func.max(Preset.version)).where(Preset.project == project, Preset.name == name))
    row = Preset(project=project, name=name, version=(last or 0) + 1, description=description)
    if recipe is not None:  # an assigned None would be kept as JSON's null
        row.recipe = recipe
    session.add(row)
    session.flush()
    session.refresh(row, ["created_at"])
    return Version(name, row.version, recipe or {}, description, row.created_at)
