"""Renditions that are being made, who waits for them, and where outputs are copied to

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No column rewrites its table, and code that does not know them goes on inserting.
    op.add_column("jobs", sa.Column("destination", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("waits_for", sa.Text(), nullable=True))
    op.create_index(
        "ix_jobs_waits_for", "jobs", ["waits_for"], unique=False, postgresql_where=sa.text("waits_for IS NOT NULL")
    )
    op.add_column("outputs", sa.Column("storage_key", sa.Text(), nullable=True))
    op.add_column("renditions", sa.Column("source_facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table(
        "rendition_reservations",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(op.f("ix_rendition_reservations_job_id"), "rendition_reservations", ["job_id"], unique=False)
