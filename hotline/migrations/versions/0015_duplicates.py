"""Suggested duplicates."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "duplicate_suggestions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_duplicate_suggestions_ticket_id_tickets", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["other_id"], ["tickets.id"], name="fk_duplicate_suggestions_other_id_tickets", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_duplicate_suggestions"),
        sa.UniqueConstraint("ticket_id", "other_id", name="uq_duplicate_suggestions_ticket_id_other_id"),
    )
    op.create_index("ix_duplicate_suggestions_other_id", "duplicate_suggestions", ["other_id"])
    op.create_index("ix_duplicate_suggestions_state_id", "duplicate_suggestions", ["state", "id"])
    op.create_table(
        "duplicate_checks",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_duplicate_checks_ticket_id_tickets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_duplicate_checks"),
    )
    op.create_index("ix_duplicate_checks_checked_at", "duplicate_checks", ["checked_at"])


def downgrade() -> None:
    op.drop_table("duplicate_checks")
    op.drop_table("duplicate_suggestions")
