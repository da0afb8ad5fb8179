"""A backup brought back: found in the storage, which is all that may be left, checked, and put into an empty database.

PixmillError (pixmill_shared)
 |- RestoreRefused      nothing was changed; the message says why
"""

import hashlib
import tempfile
from typing import IO, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

from pixmill_shared.database.client_tools import find_tool, running_tool, server_major, tool_target
from pixmill_shared.database.engine import Database, unpooled_engine
from pixmill_shared.domain.backups import PREFIX, Manifest, NoManifest, is_manifest, manifest_name
from pixmill_shared.errors import PixmillError
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import backups
from pixmill_shared.storage import InvalidKey, ObjectNotFound, ObjectStore

log = get_logger(__name__)

_USED: Final = text("""
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
""")


class RestoreRefused(PixmillError):
    """The database is not empty, the backup is not there, or it is not what was written."""


def available(store: ObjectStore) -> list[Manifest]:
    """Newest first; only whole ones. Raises StorageUnavailable."""
    found = []
    for name in [info.key for info in store.list(PREFIX) if is_manifest(info.key)]:
        try:
            found.append(Manifest.parse(store.get(name)))
        except (NoManifest, ObjectNotFound):
            log.warning("not a manifest of a backup", key=name)
    return sorted(found, key=lambda manifest: manifest.key, reverse=True)


def find(store: ObjectStore, key: str | None) -> Manifest:
    """The newest, or the one of that key. Raises RestoreRefused and StorageUnavailable."""
    if key is None:
        found = available(store)
        if not found:
            raise RestoreRefused("there is no backup in the storage (PIXMILL_STORAGE_URL).")
        return found[0]
    try:
        return Manifest.parse(store.get(manifest_name(key)))
    except (ObjectNotFound, InvalidKey):
        raise RestoreRefused(f"there is no complete backup {key}. See: pixmill backups") from None
    except NoManifest as error:
        raise RestoreRefused(f"what belongs to the backup {key} is damaged: {error}.") from None


def restore(store: ObjectStore, url: str, manifest: Manifest, pg_dump: str = "") -> None:
    """Into the empty database at ``url``, as the role that is to own the tables; all of it, or nothing.

    Raises RestoreRefused, ClientToolError and StorageUnavailable.
    """
    engine, there = unpooled_engine(url), available(store)
    with engine.connect() as connection:
        _refuse_used(connection)
        tool = find_tool("pg_restore", server_major(connection), pg_dump)
    with tempfile.NamedTemporaryFile(prefix="pixmill-restore-") as file:
        _fetch(store, manifest, file)
        target, environment = tool_target(url)
        # Owners and rights are those of the new database: its roles may have other names.
        options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]
        with running_tool([tool, *options, f"--dbname={target}", file.name], environment):
            pass
    # The backup is in itself as one that is under way, and of later ones it knows nothing: who has no row never goes.
    database = Database(url)
    try:
        with database.session_scope() as session:
            for each in there:
                backups.complete(session, each)
    finally:
        database.dispose()


def _refuse_used(connection: Connection) -> None:
    used = connection.scalar(_USED)
    if used:
        name = connection.scalar(text("SELECT current_database()"))
        raise RestoreRefused(
            f"the database {name} is not empty: it has {used} tables, views or sequences. A backup is restored into an "
            "empty one only; make a new one, or drop and create this one, and name it by PIXMILL_MIGRATE_DATABASE_URL."
        )


def _fetch(store: ObjectStore, manifest: Manifest, file: IO[bytes]) -> None:
    try:
        size = store.head(manifest.key).size
        digest = hashlib.sha256()
        for part in store.stream(manifest.key, 0, size):
            digest.update(part)
            file.write(part)
        file.flush()
    except ObjectNotFound:
        raise RestoreRefused(f"the backup {manifest.key} has no dump in the storage.") from None
    if (size, digest.hexdigest()) != (manifest.bytes, manifest.sha256):
        raise RestoreRefused(
            f"the backup {manifest.key} is damaged: its checksum is not the one that was written down. Nothing was "
            "changed. Try an older one: pixmill backups"
        )
