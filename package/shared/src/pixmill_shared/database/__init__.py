"""Postgres: models, connections, prepared statements, migrations."""
