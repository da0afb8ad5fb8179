"""Without beat, what has expired is deleted all the same."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.waiting import eventually

from pixmill_api.inline.chores import CHORES, Chores
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.plumbing.inline import load_services
from pixmill_shared.runtime import Runtime, start_runtime


@pytest.fixture
def clients(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """Of this process, as its tasks find them."""
    for name, value in {
        "PIXMILL_ENV": "test",
        "DATABASE_URL": postgres_url,
        "PIXMILL_STORAGE_URL": (tmp_path / "objects").as_uri(),
        "PIXMILL_SECRET_KEY": "a key for tests only, 0123456789",
    }.items():
        monkeypatch.setenv(name, value)
    started = start_runtime()
    yield started
    started.database.dispose()
    start_runtime()


def expired_upload(clients: Runtime) -> uuid.UUID:
    upload_id = new_id()
    clients.store.put(f"uploads/{upload_id}", b"12345", "image/jpeg")
    row = Upload(id=upload_id, project="p", key=f"uploads/{upload_id}", sha256="s", bytes=5, media_type="image/jpeg")
    with clients.database.session_scope() as session:
        session.add(row)
        session.flush()
        session.execute(text("UPDATE uploads SET completed_at = now() - interval '30 days'"))
    return upload_id


def exists(database: Database, upload_id: uuid.UUID) -> bool:
    with database.session_scope() as session:
        return session.get(Upload, upload_id) is not None


def test_sweeps_are_chores_and_alerts_are_not() -> None:
    assert {TaskName.EXPIRE_UPLOADS, TaskName.CLEAN_UP} <= set(CHORES)
    assert not {TaskName.EVALUATE_ALERTS, TaskName.SEND_REPORT, TaskName.RECORD_HEARTBEAT} & set(CHORES)


def test_expired_uploads_go_by_themselves_again_and_again(clients: Runtime) -> None:
    chores = Chores(load_services().in_threads, first=0, every=0.2)
    first = expired_upload(clients)
    chores.start()
    try:
        eventually(lambda: not exists(clients.database, first), within=60)
        second = expired_upload(clients)
        eventually(lambda: not exists(clients.database, second), within=60)
    finally:
        chores.stop()
        for thread in threading.enumerate():
            if thread.name == "chores":
                thread.join(60)
