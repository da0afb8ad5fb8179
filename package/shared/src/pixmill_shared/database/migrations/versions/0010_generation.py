"""Generation: jobs that make pictures of things, in chunks; what providers were asked

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_READY = "status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL"


def upgrade() -> None:
    _generations()
    _chunks()
    _items()
    _meters()
    generating = sa.text("kind = 'generate' AND finished_at IS NULL")
    for table in ("jobs", "task_requests"):
        op.add_column(table, sa.Column("traceback", sa.Text(), nullable=True))
    op.create_index("ix_jobs_generating", "jobs", ["started_at"], postgresql_where=generating)
    op.create_index("ix_jobs_project_kind", "jobs", ["project", "kind", "id"])
    op.create_index("ix_task_requests_project_status", "task_requests", ["project", "status", "id"])


def _generations() -> None:
    op.create_table(
        "generations",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=False),
        sa.Column("cache", sa.Boolean(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("categories", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("total_items", sa.Integer(), nullable=False),
        sa.Column("total_chunks", sa.Integer(), nullable=False),
        sa.Column("finished_items", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("finished_chunks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("real_items", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id"),
    )


def _chunks() -> None:
    table = "generation_chunks"
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatch_number", sa.BigInteger(), nullable=True),
        sa.Column("dispatches", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, columns, where in (
        ("ready", ["queue", "priority", "turn", "id"], _READY),
        ("published", ["queue", "priority", "dispatch_number"], "status = 'queued' AND dispatched_at IS NOT NULL"),
        ("delayed", ["run_at"], "status = 'queued' AND run_at IS NOT NULL"),
        ("leased", ["lease_until"], "lease_until IS NOT NULL"),
        ("waiting", ["job_id", "position"], "status = 'waiting'"),
    ):
        op.create_index(f"ix_{table}_{name}", table, columns, postgresql_where=sa.text(where))
    op.create_index(f"ix_{table}_project", table, ["project", "id"])
    op.create_index(f"ix_{table}_job", table, ["job_id", "position"], unique=True)


def _items() -> None:
    op.create_table(
        "generation_items",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("outputs", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("cached", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["chunk_id"], ["generation_chunks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position"),
    )
    op.create_index("ix_generation_items_chunk", "generation_items", ["chunk_id", "position"])
    made = sa.text("success AND NOT cached")
    op.create_index("ix_generation_items_made", "generation_items", ["finished_at"], postgresql_where=made)


def _meters() -> None:
    op.create_table(
        "provider_meters",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )
