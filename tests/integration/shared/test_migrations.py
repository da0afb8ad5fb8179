"""The schema that migrations make is the one that the models say."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from pixmill_shared.database.migrate import current, head
from pixmill_shared.database.models import Base


def test_migrations_make_what_the_models_say(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    try:
        with engine.connect() as connection:
            assert current(connection) == head()
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            differences = compare_metadata(context, Base.metadata)
    finally:
        engine.dispose()
    assert differences == [], "write a migration for them, beside the others in pixmill_shared/database/migrations"
