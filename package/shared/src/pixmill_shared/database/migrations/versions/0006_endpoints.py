"""Webhook endpoints, deliveries that belong to one, and what is known of receivers that do not answer

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_ZERO = sa.text("0")
_HOST = "lower(substring(url, '^[^:]+://([^/?#]+)'::text))"


def upgrade() -> None:
    _endpoints()
    _deliveries()
    op.create_table(
        "receivers",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("opened", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_endpoints_project", "endpoints", ["project", "id"])
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_endpoint_secrets_endpoint", "endpoint_secrets", ["endpoint_id", "id"])
    op.create_index(
        "ux_endpoint_secrets_current",
        "endpoint_secrets",
        ["endpoint_id"],
        unique=True,
        postgresql_where=sa.text("expires_at IS NULL"),
    )


def _deliveries() -> None:
    op.add_column("deliveries", sa.Column("endpoint_id", sa.Uuid(), nullable=True))
    op.add_column("deliveries", sa.Column("event_type", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("sequence", sa.Integer(), nullable=True))
    op.add_column(
        "deliveries", sa.Column("happened_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False)
    )
    op.add_column("deliveries", sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("deliveries", sa.Column("host", sa.Text(), sa.Computed(_HOST, persisted=True), nullable=True))
    op.execute(
        "UPDATE deliveries d SET event_type = e.type, sequence = e.sequence, happened_at = e.at "
        "FROM job_events e WHERE e.id = d.event_id"
    )
    op.alter_column("deliveries", "event_type", existing_type=sa.Text(), nullable=False)
    op.alter_column("deliveries", "job_id", existing_type=sa.Uuid(), nullable=True)
    # An event need not be a job's; where it is, the delivery goes with the job.
    op.drop_constraint("deliveries_event_id_fkey", "deliveries", type_="foreignkey")
    op.create_foreign_key(
        "deliveries_endpoint_id_fkey", "deliveries", "endpoints", ["endpoint_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index(
        "ix_deliveries_endpoint",
        "deliveries",
        ["endpoint_id", "id"],
        postgresql_where=sa.text("endpoint_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_host", "deliveries", ["host"], postgresql_where=sa.text("status = 'queued' AND run_at IS NULL")
    )
