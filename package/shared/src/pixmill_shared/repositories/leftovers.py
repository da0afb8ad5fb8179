"""Which objects and uploads rows still need. SQLAlchemy: hourly at most, a page at a time."""

import datetime
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, any_, cast, delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.orm import Session, aliased

from pixmill_shared.database.models import (
    Job,
    JobUpload,
    Pipeline,
    Preset,
    Rendition,
    TaskRequest,
    Upload,
    UploadSession,
)
from pixmill_shared.domain.objects import builder_of, is_source, rendition_key_of, session_of, upload_of

_MARKED: Final = "$.outputs[*].operations[*].image.upload_id ? (@ == $id)"


def _is_mark_of(recipe: Any) -> ColumnElement[bool]:
    """The upload is the image of one of its watermarks."""
    return func.jsonb_path_exists(recipe, cast(_MARKED, JSONPATH), func.jsonb_build_object("id", cast(Upload.id, Text)))


_deletion = aliased(Preset)
# An image of a watermark of a preset, of an older version too, unless the preset was deleted since.
_NAMED_BY_PRESET: Final = exists().where(
    Preset.project == Upload.project,
    _is_mark_of(Preset.recipe),
    ~exists().where(
        _deletion.project == Preset.project,
        _deletion.name == Preset.name,
        _deletion.version > Preset.version,
        _deletion.recipe.is_(None),
    ),
)
_NAMED_BY_PIPELINE: Final = exists().where(
    Pipeline.project == Upload.project,
    _is_mark_of(Pipeline.recipe),
)
_UNUSED: Final = (
    ~exists().where(Job.source_key == Upload.key)
    & ~exists().where(JobUpload.upload_id == Upload.id)
    & ~_NAMED_BY_PRESET
    & ~_NAMED_BY_PIPELINE
)


def named(session: Session, keys: Collection[str]) -> set[str]:
    """Those of the objects ``keys`` that a row names. Each table is asked by an index, for the names that are its own.

    ``storage_key`` has none, but the name of a rendition's object tells the row's ``key``. All objects of an upload
    session stay as long as its row does: some are written before a row names them, or are older than their name.
    """
    sessions = {key: session_id for key in keys if (session_id := session_of(key))}
    found = _of_sessions(session, sessions)
    if sources := [key for key in keys if is_source(key)]:
        found |= set(session.scalars(select(Job.source_key).where(_among(Job.source_key, sources))))
    if ids := [upload_id for key in keys if (upload_id := upload_of(key))]:
        found |= set(session.scalars(select(Upload.key).where(Upload.id == any_(literal(ids, ARRAY(Uuid()))))))
    if addresses := {address for key in keys if (address := rendition_key_of(key))}:
        found |= set(session.scalars(select(Rendition.storage_key).where(_among(Rendition.key, sorted(addresses)))))
    if tasks := [task_id for key in keys if (task_id := builder_of(key))]:
        archive = TaskRequest.result["key"].astext
        found |= set(session.scalars(select(archive).where(TaskRequest.id == any_(literal(tasks, ARRAY(Uuid()))))))
    return found & set(keys)


def aged_uploads(session: Session, older_than: datetime.timedelta, after: uuid.UUID, limit: int) -> Sequence[uuid.UUID]:
    """The next ids above ``after``, used or not, in their order."""
    old = Upload.completed_at < func.clock_timestamp() - older_than
    return session.scalars(select(Upload.id).where(Upload.id > after, old).order_by(Upload.id).limit(limit)).all()


def delete_unused_uploads(session: Session, ids: Collection[uuid.UUID]) -> list[str]:
    """Delete the rows of ``ids`` that no job uses, and return the names of their objects.

    In two statements. The first locks, and passes by what a submission holds (``uploads.find_for_job``). The second
    looks again: a submission that committed just before the lock is in its snapshot and was not in the first one's.
    """
    query = select(Upload.id).where(Upload.id == any_(literal(list(ids), ARRAY(Uuid()))), _UNUSED)
    locked = session.scalars(query.with_for_update(of=Upload, skip_locked=True)).all()
    if not locked:
        return []
    unused = delete(Upload).where(Upload.id == any_(literal(list(locked), ARRAY(Uuid()))), _UNUSED)
    return list(session.scalars(unused.returning(Upload.key).execution_options(synchronize_session=False)))


def count_unused_uploads(session: Session, ids: Collection[uuid.UUID]) -> int:
    """How many of ``ids`` no job uses now."""
    query = select(func.count()).select_from(Upload)
    return session.scalar(query.where(Upload.id == any_(literal(list(ids), ARRAY(Uuid()))), _UNUSED)) or 0


def _of_sessions(session: Session, keys: dict[str, uuid.UUID]) -> set[str]:
    if not keys:
        return set()
    ids = literal(sorted(set(keys.values())), ARRAY(Uuid()))
    alive = set(session.scalars(select(UploadSession.id).where(UploadSession.id == any_(ids))))
    return {key for key, session_id in keys.items() if session_id in alive}


def _among(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    return column == any_(literal(list(values), ARRAY(Text())))  # type: ignore[no-any-return]
