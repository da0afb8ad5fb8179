"""The colour and the number of frames of a rendition

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Neither rewrites the table, and code that does not know the columns goes on inserting.
    op.add_column("renditions", sa.Column("dominant_color", sa.Text(), nullable=True))
    op.add_column("renditions", sa.Column("frames", sa.Integer(), server_default=sa.text("1"), nullable=False))
