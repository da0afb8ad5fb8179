"""Turns, dead letters that are replayed, idempotent submission, and who needs which object

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_READY = "status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL"
_PUBLISHED = "status = 'queued' AND dispatched_at IS NOT NULL"
_TURNS = {"jobs": "0", "deliveries": "(extract(epoch FROM now()) * 1000000)::bigint"}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False))
    for table, turn in _TURNS.items():
        op.add_column(table, sa.Column("turn", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        op.alter_column(table, "turn", server_default=sa.text(turn))
        op.add_column(table, sa.Column("dispatch_number", sa.BigInteger(), nullable=True))
        op.drop_index(f"ix_{table}_ready", table_name=table)
        op.drop_index(f"ix_{table}_published", table_name=table)
        op.drop_index(f"ix_{table}_leased", table_name=table)
        op.create_index(
            f"ix_{table}_leased",
            table,
            ["lease_until"],
            unique=False,
            postgresql_where=sa.text("lease_until IS NOT NULL"),
        )
        op.create_index(
            f"ix_{table}_ready",
            table,
            ["queue", "priority", "turn", "id"],
            unique=False,
            postgresql_where=sa.text(_READY),
        )
        op.create_index(
            f"ix_{table}_published",
            table,
            ["queue", "priority", "dispatch_number"],
            unique=False,
            postgresql_where=sa.text(_PUBLISHED),
        )
    op.create_index(
        "ix_jobs_lane",
        "jobs",
        ["queue", "priority", "owner", "turn"],
        unique=False,
        postgresql_where=sa.text(_READY),
    )
    _point_back("jobs", "retry_of")
    _point_back("deliveries", "replay_of")
    op.create_index(
        "ix_jobs_source_key", "jobs", ["source_key"], unique=False, postgresql_where=sa.text("source_key IS NOT NULL")
    )
    _dead_letters()
    _new_tables()


def _point_back(table: str, column: str) -> None:
    op.add_column(table, sa.Column(column, sa.Uuid(), nullable=True))
    op.create_foreign_key(f"{table}_{column}_fkey", table, table, [column], ["id"], ondelete="SET NULL")
    op.create_index(
        f"ix_{table}_{column}", table, [column], unique=False, postgresql_where=sa.text(f"{column} IS NOT NULL")
    )


def _dead_letters() -> None:
    op.alter_column("dead_letters", "project", existing_type=sa.Text(), nullable=True)
    op.add_column("dead_letters", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("dead_letters", sa.Column("replayed_by", sa.Text(), nullable=True))
    op.add_column("dead_letters", sa.Column("replayed_as", sa.Uuid(), nullable=True))
    op.create_index("ix_dead_letters_project", "dead_letters", ["project", "id"], unique=False)


def _new_tables() -> None:
    op.create_table(
        "dispatch_marks",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "priority", "number"),
    )
    op.create_table(
        "idempotency_records",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "key"),
    )
    op.create_index(op.f("ix_idempotency_records_expires_at"), "idempotency_records", ["expires_at"], unique=False)
    op.create_table(
        "job_uploads",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        sa.PrimaryKeyConstraint("job_id", "upload_id"),
    )
    op.create_index(op.f("ix_job_uploads_upload_id"), "job_uploads", ["upload_id"], unique=False)
