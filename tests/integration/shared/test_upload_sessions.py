"""Upload sessions: who writes, what is safe, what goes when their time is over, and which objects stay till then."""

import datetime
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests.integration.storage.conftest import opened, settings_for

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import assembled_name, incoming_name, part_name
from pixmill_shared.repositories import upload_sessions
from pixmill_shared.repositories.upload_sessions import PRESIGNED, TUS, NewSession
from pixmill_shared.service.expiring import expire_sessions
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.storage import ObjectStore

NOW = datetime.timedelta(0)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    found = Database(postgres_url)
    with found.session_scope() as session:
        session.execute(text("TRUNCATE upload_sessions CASCADE"))
    yield found
    found.dispose()


@pytest.fixture
def store(tmp_path: object) -> ObjectStore:
    return opened(settings_for({"PIXMILL_STORAGE_URL": f"file://{tmp_path}/objects"}))


def begin(database: Database, kind: str = TUS, ttl: float = 60, length: int = 100) -> uuid.UUID:
    new = NewSession(new_id(), "p", kind, "image/png", ttl, length)
    with database.session_scope() as session:
        assert upload_sessions.insert(session, new, 1_000)
    return new.id


def lock(database: Database, session_id: uuid.UUID, owner: str, seconds: float = 60) -> bool:
    with database.session_scope() as session:
        return upload_sessions.lock(session, session_id, owner, seconds) is not None


def add(database: Database, session_id: uuid.UUID, owner: str, start: int, *sizes: int) -> list[str]:
    """The objects of the parts, if they were added."""
    keys = [part_name(session_id, new_id()) for _ in sizes]
    with database.session_scope() as session:
        added = upload_sessions.add_parts(session, session_id, owner, start, list(zip(keys, sizes, strict=True)))
    return keys if added else []


def received(database: Database, session_id: uuid.UUID) -> int | None:
    with database.session_scope() as session:
        row = upload_sessions.find(session, "p", session_id, TUS)
    return row.received if row else None


def test_one_holds_the_lock_until_it_gives_it_back_or_is_late(database: Database) -> None:
    found = begin(database)
    assert lock(database, found, "one", seconds=60)
    assert not lock(database, found, "two")
    assert not lock(database, found, "one")
    with database.session_scope() as session:
        upload_sessions.unlock(session, found, "two")
        assert upload_sessions.renew(session, found, "one", 0)
    assert lock(database, found, "two")
    with database.session_scope() as session:
        assert not upload_sessions.renew(session, found, "one", 60)
        upload_sessions.unlock(session, found, "one")
    assert not lock(database, found, "one")


def test_parts_are_safe_in_their_order_and_without_gaps(database: Database) -> None:
    found = begin(database)
    lock(database, found, "one")
    first, second = add(database, found, "one", 0, 10, 5)
    assert add(database, found, "one", 10, 7) == []
    assert add(database, found, "one", 16, 7) == []
    assert add(database, found, "two", 15, 7) == []
    assert received(database, found) == 15
    (third,) = add(database, found, "one", 15, 7)
    with database.session_scope() as session:
        parts = upload_sessions.parts_of(session, found)
    assert [(part.start, part.bytes, part.key) for part in parts] == [(0, 10, first), (10, 5, second), (15, 7, third)]


def test_only_the_holder_ends_a_session(database: Database) -> None:
    found = begin(database)
    lock(database, found, "one")
    add(database, found, "one", 0, 10)
    with database.session_scope() as session:
        assert not upload_sessions.end(session, found, "two")
        assert upload_sessions.end(session, found, "one")
        assert session.execute(text("SELECT count(*) FROM upload_parts")).scalar() == 0


def test_another_projects_session_is_not_found(database: Database) -> None:
    found = begin(database)
    with database.session_scope() as session:
        assert upload_sessions.find(session, "q", found, TUS) is None
        assert upload_sessions.find(session, "p", found, PRESIGNED) is None
        assert upload_sessions.find(session, None, found, TUS)


def test_a_project_gets_as_many_as_it_may_have_however_many_ask_at_once(database: Database) -> None:
    def ask(_: int) -> bool:
        with database.session_scope() as session:
            new = NewSession(new_id(), "busy", TUS, "image/png", 60, 5)
            return upload_sessions.insert(session, new, 5) is not None

    wide = Database(database.url, pool_size=8)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(24))) == 5
    finally:
        wide.dispose()


def put(store: ObjectStore, *names: str) -> None:
    for name in names:
        store.put(name, b"bytes", "image/png")


def there(store: ObjectStore) -> set[str]:
    return {info.key for info in store.list("")}


def test_sessions_go_with_their_objects_when_their_time_is_over(database: Database, store: ObjectStore) -> None:
    old, sent, young, busy = (begin(database, kind) for kind in (TUS, PRESIGNED, TUS, TUS))
    keys = {}
    for session_id in (old, young, busy):
        lock(database, session_id, "one", seconds=0 if session_id != busy else 60)
        keys[session_id] = add(database, session_id, "one", 0, 5, 5)
        put(store, *keys[session_id])
    put(store, incoming_name(sent))
    with database.session_scope() as session:
        session.execute(
            text("UPDATE upload_sessions SET expires_at = now() WHERE id = ANY(:ids)"), {"ids": [old, sent, busy]}
        )
    assert expire_sessions(database, store, page=1) == 2
    assert there(store) == {*keys[young], *keys[busy]}
    assert received(database, old) is None
    # Its request has ended meanwhile.
    with database.session_scope() as session:
        upload_sessions.unlock(session, busy, "one")
    assert expire_sessions(database, store) == 1
    assert there(store) == set(keys[young])
    assert received(database, young) == 10


def test_all_objects_of_a_session_stay_until_it_goes_and_none_after(database: Database, store: ObjectStore) -> None:
    tus, sent, gone = begin(database), begin(database, PRESIGNED), new_id()
    alive = {
        part_name(tus, new_id()),  # stored, and not noted yet
        incoming_name(sent),
        assembled_name(tus, new_id()),  # whole, and not an upload yet
        assembled_name(sent, new_id()),
    }
    dead = {part_name(gone, new_id()), incoming_name(gone), assembled_name(gone, new_id())}
    foreign = {f"parts/{tus}/draft", "incoming/mine", f"uploads/{tus}.png", f"parts/{new_id()}"}
    put(store, *alive, *dead, *foreign)
    assert sweep_objects(database, store, older_than=NOW).deleted == len(dead)
    assert there(store) == alive | foreign
    with database.session_scope() as session:
        session.execute(text("UPDATE upload_sessions SET expires_at = now()"))
    expire_sessions(database, store)
    sweep_objects(database, store, older_than=NOW)
    assert there(store) == foreign
