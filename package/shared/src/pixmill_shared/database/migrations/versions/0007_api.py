"""Batches, presets, keys with scopes and limits, the audit, unfinished uploads, tasks that people ask for

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_ZERO = sa.text("0")
_EMPTY = sa.text("'{}'")
_JSON = postgresql.JSONB(astext_type=sa.Text())
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _batches()
    _jobs()
    _presets()
    _keys()
    _uploads()
    _task_requests()
    _dead_letters()


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'processing'"), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("failed", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("canceled", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("rejected", _JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("metadata", _JSON, server_default=_EMPTY, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.Uuid(), nullable=True),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"]),
        sa.ForeignKeyConstraint(["retry_of"], ["batches.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_batches_project", "batches", ["project", "id"])
    op.create_index("ix_batches_retry_of", "batches", ["retry_of"], postgresql_where=sa.text("retry_of IS NOT NULL"))


def _jobs() -> None:
    op.add_column("jobs", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("batch_index", sa.SmallInteger(), nullable=True))
    op.add_column("jobs", sa.Column("preset", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("preset_version", sa.Integer(), nullable=True))
    op.create_foreign_key("jobs_batch_id_fkey", "jobs", "batches", ["batch_id"], ["id"], ondelete="CASCADE")
    op.create_index("ix_jobs_batch", "jobs", ["batch_id", "id"], postgresql_where=sa.text("batch_id IS NOT NULL"))
    op.create_index("ix_jobs_project_status", "jobs", ["project", "status", "id"])
    op.create_index("ix_deliveries_project_status", "deliveries", ["project", "status", "id"])
    op.create_index(
        "ix_jobs_unfinished_of_key",
        "jobs",
        ["api_key_id"],
        postgresql_where=sa.text("api_key_id IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_metadata",
        "jobs",
        ["metadata"],
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
        postgresql_where=sa.text("metadata <> '{}'"),
    )


def _presets() -> None:
    op.create_table(
        "presets",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recipe", _JSON, nullable=True),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", "version"),
    )


def _keys() -> None:
    scopes = sa.text("'{jobs:read,jobs:write}'")
    op.add_column("api_keys", sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default=scopes, nullable=False))
    op.add_column("api_keys", sa.Column("presets_only", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("api_keys", sa.Column("rate_limit", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("max_unfinished", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", _MOMENT, nullable=True))
    op.add_column("api_keys", sa.Column("former_secret", sa.LargeBinary(), nullable=True))
    op.add_column("api_keys", sa.Column("former_secret_expires_at", _MOMENT, nullable=True))
    # The keys that there are could do everything.
    op.execute("UPDATE api_keys SET scopes = '{jobs:read,jobs:write,admin}'")
    op.create_index(
        "ix_api_keys_expires",
        "api_keys",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", _JSON, server_default=_EMPTY, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("at", _MOMENT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_project", "audit", ["project", "id"])


def _uploads() -> None:
    op.add_column("uploads", sa.Column("metadata", sa.Text(), nullable=True))
    op.create_table(
        "upload_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("received", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("locked_by", sa.Text(), nullable=True),
        sa.Column("locked_until", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_upload_sessions_project", "upload_sessions", ["project", "id"])
    op.create_index("ix_upload_sessions_expires_at", "upload_sessions", ["expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload_sessions.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", "start"),
    )


def _dead_letters() -> None:
    op.create_index("ix_dead_letters_task", "dead_letters", ["project", "task", "id"])
    for name, state in (("replayed", "IS NOT NULL"), ("open", "IS NULL")):
        op.create_index(
            f"ix_dead_letters_{name}",
            "dead_letters",
            ["project", "id"],
            postgresql_where=sa.text(f"replayed_at {state}"),
        )


def _task_requests() -> None:
    turn = sa.text("(extract(epoch FROM now()) * 1000000)::bigint")
    op.create_table(
        "task_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default=turn, nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("run_at", _MOMENT, nullable=True),
        sa.Column("dispatched_at", _MOMENT, nullable=True),
        sa.Column("dispatch_number", sa.BigInteger(), nullable=True),
        sa.Column("dispatches", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("payload", _JSON, server_default=_EMPTY, nullable=False),
        sa.Column("result", _JSON, nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    ready = sa.text("status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL")
    published = sa.text("status = 'queued' AND dispatched_at IS NOT NULL")
    delayed = sa.text("status = 'queued' AND run_at IS NOT NULL")
    op.create_index(
        "ix_task_requests_ready", "task_requests", ["queue", "priority", "turn", "id"], postgresql_where=ready
    )
    op.create_index(
        "ix_task_requests_published",
        "task_requests",
        ["queue", "priority", "dispatch_number"],
        postgresql_where=published,
    )
    op.create_index("ix_task_requests_delayed", "task_requests", ["run_at"], postgresql_where=delayed)
    op.create_index(
        "ix_task_requests_leased",
        "task_requests",
        ["lease_until"],
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index("ix_task_requests_project", "task_requests", ["project", "id"])
    op.create_index("ix_task_requests_status", "task_requests", ["status", "id"])
    op.create_index(
        "ix_task_requests_batch",
        "task_requests",
        [sa.text("(payload ->> 'batch_id')"), "id"],
        postgresql_where=sa.text("(payload ->> 'batch_id') IS NOT NULL"),
    )
    op.create_index(
        "ix_task_requests_archives",
        "task_requests",
        ["finished_at"],
        postgresql_where=sa.text("(result ->> 'key') IS NOT NULL"),
    )
