"""Facts of clocks and calls, sums of days, drafts of rates."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clock_outcomes",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("tier", sa.String(length=4), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_clock_outcomes_ticket_id_tickets"),
        sa.PrimaryKeyConstraint("ticket_id", "step", "number", name="pk_clock_outcomes"),
    )
    op.create_index("ix_clock_outcomes_day", "clock_outcomes", ["day"])
    op.create_index("ix_clock_outcomes_outcome_due_at", "clock_outcomes", ["outcome", "due_at"])
    op.create_table(
        "call_outcomes",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("answer_ms", sa.BigInteger(), nullable=True),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("waited_ms", sa.BigInteger(), nullable=True),
        sa.Column("left", sa.String(length=16), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_outcomes"),
    )
    op.create_index("ix_call_outcomes_day", "call_outcomes", ["day"])
    op.create_index("ix_call_outcomes_counted", "call_outcomes", ["counted"])
    op.create_table(
        "daily_figures",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("dimension", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "dimension", "key", name="pk_daily_figures"),
    )
    op.create_table(
        "figure_marks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
        sa.Column("refreshed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_figure_marks"),
    )
    op.create_table(
        "rate_drafts",
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("formula", sa.String(length=32), nullable=False),
        sa.Column("computed_at", UtcDateTime(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("period", name="pk_rate_drafts"),
    )
    op.create_index("ix_tickets_updated_at_id", "tickets", ["updated_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_tickets_updated_at_id", table_name="tickets")
    for table in ("rate_drafts", "figure_marks", "daily_figures", "call_outcomes", "clock_outcomes"):
        op.drop_table(table)
