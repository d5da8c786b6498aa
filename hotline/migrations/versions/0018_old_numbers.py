"""Calendar feeds; the numbers that tickets had in an older system."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar_feeds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("last_read_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_feeds"),
        sa.UniqueConstraint("token_hash", name="uq_calendar_feeds_token_hash"),
    )
    op.create_table(
        "old_numbers",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_old_numbers_ticket_id_tickets"),
        sa.PrimaryKeyConstraint("source", "number", name="pk_old_numbers"),
    )
    op.create_index("ix_old_numbers_ticket_id", "old_numbers", ["ticket_id"])


def downgrade() -> None:
    op.drop_table("old_numbers")
    op.drop_table("calendar_feeds")
