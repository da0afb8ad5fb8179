"""Alerts, their messages, the daily report, and what they are decided by

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_ZERO = sa.text("0")
_NEXT = "(extract(epoch FROM now()) * 1000000)::bigint"


def upgrade() -> None:
    # What ended in a span of time: the failure rate asks each minute, the report each day.
    op.create_index(
        "ix_jobs_finished", "jobs", ["finished_at", "status"], postgresql_where=sa.text("finished_at IS NOT NULL")
    )
    op.create_index("ix_dead_letters_created", "dead_letters", ["created_at"])
    op.add_column("service_health", _moment("since", server_default=_NOW))
    op.add_column("service_health", sa.Column("failures", sa.Integer(), server_default=_ZERO, nullable=False))
    op.add_column("service_health", sa.Column("status_code", sa.Integer(), nullable=True))
    op.add_column("service_health", sa.Column("response_ms", sa.Integer(), nullable=True))
    op.add_column("service_health", sa.Column("error", sa.Text(), nullable=True))
    _alerts()
    _alert_messages()
    _measurements()


def _moment(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **{"nullable": False, **options})  # type: ignore[arg-type]


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        _moment("started_at", server_default=_NOW),
        _moment("ended_at", nullable=True),
        _moment("seen_at", server_default=_NOW),
        _moment("clear_since", nullable=True),
        _moment("last_sent_at", nullable=True),
        sa.Column("recurrence", sa.SmallInteger(), server_default=_ZERO, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ux_alerts_firing", "alerts", ["rule", "subject"], unique=True, postgresql_where=sa.text("state = 'firing'")
    )
    op.create_index("ix_alerts_subject", "alerts", ["rule", "subject", "started_at"])


def _alert_messages() -> None:
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default=sa.text(_NEXT), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=_ZERO, nullable=False),
        _moment("lease_until", nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        _moment("run_at", nullable=True),
        _moment("dispatched_at", nullable=True),
        sa.Column("dispatch_number", sa.BigInteger(), nullable=True),
        sa.Column("dispatches", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        _moment("created_at", server_default=_NOW),
        _moment("started_at", nullable=True),
        _moment("finished_at", nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, columns, where in (
        (
            "ready",
            ["queue", "priority", "turn", "id"],
            "status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL",
        ),
        ("published", ["queue", "priority", "dispatch_number"], "status = 'queued' AND dispatched_at IS NOT NULL"),
        ("delayed", ["run_at"], "status = 'queued' AND run_at IS NOT NULL"),
        ("leased", ["lease_until"], "lease_until IS NOT NULL"),
    ):
        op.create_index(f"ix_alert_messages_{name}", "alert_messages", columns, postgresql_where=sa.text(where))
    op.create_index("ix_alert_messages_project", "alert_messages", ["project", "id"])


def _measurements() -> None:
    op.create_table(
        "reports",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        _moment("created_at", server_default=_NOW),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "queue_samples",
        sa.Column("queue", sa.Text(), nullable=False),
        _moment("at", server_default=_NOW),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("oldest_seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("queue", "at"),
    )
    op.create_index("ix_queue_samples_at", "queue_samples", ["at"])
    op.create_table(
        "backups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        _moment("started_at", server_default=_NOW),
        _moment("finished_at", nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
