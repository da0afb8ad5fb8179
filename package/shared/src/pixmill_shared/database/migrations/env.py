"""Run by ``pixmill_shared.database.migrate`` on a connection that it opened and locked."""

from alembic import context

from pixmill_shared.database.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
