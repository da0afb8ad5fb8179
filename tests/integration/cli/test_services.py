"""`pixmill services` as a person types it, on a real database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import service_health


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE service_health"))
    yield database
    database.dispose()


def test_list_says_who_is_well_and_why_others_are_not(database: Database) -> None:
    with database.session_scope() as session:
        service_health.record(session, "api", healthy=True, status_code=200, response_ms=4)
        service_health.record(
            session, "flower", healthy=False, response_ms=1, error="flower does not accept connections."
        )
    done = CliRunner().invoke(app, ["services"], env={"PIXMILL_ENV": "test", "DATABASE_URL": database.url})
    heading, api, flower = done.stdout.splitlines()
    assert heading.split() == ["service", "status", "since", "checked", "failures", "http", "ms", "error"]
    assert api.split()[:2] + api.split()[-4:] == ["api", "healthy", "0", "200", "4", "-"]
    assert flower.split()[:2] == ["flower", "unhealthy"]
    assert flower.endswith("1         -     1   flower does not accept connections.")
