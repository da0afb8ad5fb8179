"""What the pool does with connections that the server has ended."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from pixmill_shared.database import engine
from pixmill_shared.database.engine import Database


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=1, max_overflow=0)
    yield database
    database.dispose()


def backend_of(database: Database) -> int:
    with database.session_scope() as session:
        return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)


def end(backend: int, postgres_url: str) -> None:
    other = Database(postgres_url)
    with other.session_scope() as session:
        assert session.scalar(text("SELECT pg_terminate_backend(:pid, 25000)"), {"pid": backend})
    other.dispose()


@pytest.mark.parametrize("rested", [0.0, 3600.0], ids=["rested", "just-used"])
def test_connection_that_the_server_ended_is_replaced_unseen(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, rested: float
) -> None:
    monkeypatch.setattr(engine, "RESTED", rested)
    first = backend_of(database)
    assert backend_of(database) == first
    end(first, postgres_url)
    assert backend_of(database) != first


def test_only_a_connection_that_rested_is_tried(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a connection asked last is to be seen from another one."""
    other = Database(postgres_url)
    for rested, last in ((3600.0, "COMMIT"), (0.0, "ROLLBACK")):
        monkeypatch.setattr(engine, "RESTED", rested)
        backend = backend_of(database)
        with database._engine.connect(), other.session_scope() as session:
            asked = session.scalar(text("SELECT query FROM pg_stat_activity WHERE pid = :pid"), {"pid": backend})
        assert asked == last
    other.dispose()
