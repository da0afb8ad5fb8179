"""A backup of the database: what pg_dump writes goes into the storage as it comes, in constant memory.

The row names the object before it is written, and a second object, written after it, says that it is whole. So what a
run leaves that was killed is told apart and removed by the next one; only one runs at a time.
"""

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from pixmill_shared.database.client_tools import find_tool, running_tool, server_major, tool_target
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Backup
from pixmill_shared.domain.backups import Manifest, NoManifest, dump_name, manifest_name
from pixmill_shared.domain.ids import new_id
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import backups, clock
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.backup import BackupSettings
from pixmill_shared.storage import ObjectNotFound, ObjectStore

log = get_logger(__name__)

_CHUNK: Final = 1 << 20
_TYPE: Final = "application/octet-stream"


@dataclass
class Dump:
    """``argv`` writes it. ``size`` in bytes and the checksum grow as it is read."""

    argv: list[str]
    environment: dict[str, str]
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def chunks(self) -> Generator[bytes]:
        """Raises ClientToolError after the last one, if it was not the last."""
        with running_tool(self.argv, self.environment) as output:
            while part := output.read(_CHUNK):
                self.size += len(part)
                self.digest.update(part)
                yield part


def back_up(clients: Runtime) -> dict[str, Any]:
    """Back up, and remove what is too old. Raises ClientToolError and StorageUnavailable, and notes them in the row."""
    settings, database, store = BackupSettings.load(), clients.database, clients.store
    clear_away(database, store)
    row, major = _started(database)
    try:
        manifest = _written(database, store, row, major, settings)
    except BaseException as error:
        with database.session_scope() as session:
            backups.fail(session, row.id, str(error) or type(error).__name__)
        raise
    with database.session_scope() as session:
        backups.complete(session, manifest)
        if settings.kept:
            backups.expire(session, settings.kept)
    failpoint("backup.completed", row.id)
    removed = _removed(database, store)
    log.info("backed up", key=manifest.key, bytes=manifest.bytes, removed=removed)
    return {"key": manifest.key, "bytes": manifest.bytes, "sha256": manifest.sha256, "removed": removed}


def clear_away(database: Database, store: ObjectStore) -> None:
    """Of runs that were killed: what is whole is a backup, anything else is none."""
    with database.session_scope() as session:
        left = backups.running(session)
    for row in left:
        manifest = _manifest(store, row)
        if manifest is None and row.key:
            store.delete(row.key)
        with database.session_scope() as session:
            if manifest:
                backups.complete(session, manifest)
            else:
                backups.fail(session, row.id, "The process ended before the backup was complete.")


def _started(database: Database) -> tuple[Backup, int]:
    with database.session_scope() as session:
        backup_id = new_id()
        return backups.start(session, backup_id, dump_name(clock.now(session), backup_id)), server_major(session)


def _written(database: Database, store: ObjectStore, row: Backup, major: int, settings: BackupSettings) -> Manifest:
    target, environment = tool_target(database.url)
    argv = [find_tool("pg_dump", major, settings.pg_dump), "--format=custom", "--no-password", f"--dbname={target}"]
    dump = Dump(argv, environment)
    with closing(dump.chunks()) as chunks:
        store.put_stream(str(row.key), chunks, _TYPE)
    failpoint("backup.dumped", row.id)
    with database.session_scope() as session:
        manifest = Manifest(
            id=row.id,
            key=str(row.key),
            bytes=dump.size,
            sha256=dump.digest.hexdigest(),
            postgres=major,
            revision=str(session.scalar(text("SELECT version_num FROM alembic_version"))),
            started_at=row.started_at,
            finished_at=clock.now(session),
        )
    store.put(manifest_name(manifest.key), manifest.document(), "application/json")
    failpoint("backup.written", row.id)
    return manifest


def _removed(database: Database, store: ObjectStore) -> int:
    """What was marked: the row is committed as expired, then its objects go, and then the row."""
    with database.session_scope() as session:
        gone = backups.expired(session)
    for row in gone:
        if row.key:
            # The dump last: without its manifest it is none that anybody would restore.
            store.delete(manifest_name(row.key))
            store.delete(row.key)
        with database.session_scope() as session:
            backups.forget(session, row.id)
    return len(gone)


def _manifest(store: ObjectStore, row: Backup) -> Manifest | None:
    try:
        return Manifest.parse(store.get(manifest_name(row.key))) if row.key else None
    except (ObjectNotFound, NoManifest):
        return None
