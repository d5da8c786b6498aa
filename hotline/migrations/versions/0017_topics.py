"""Topics, day by day."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topic_runs",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ran_at", UtcDateTime(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("seasonal", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_topic_runs"),
    )
    op.create_table(
        "topics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_topics"),
    )
    op.create_index("ix_topics_last_day", "topics", ["last_day"])
    op.create_table(
        "topic_days",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("chance", sa.Double(), nullable=False),
        sa.Column("rising", sa.Boolean(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name="fk_topic_days_topic_id_topics"),
        sa.PrimaryKeyConstraint("id", name="pk_topic_days"),
        sa.UniqueConstraint("topic_id", "day", name="uq_topic_days_topic_id_day"),
    )
    op.create_index("ix_topic_days_day", "topic_days", ["day"])
    op.create_table(
        "topic_tickets",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_topic_tickets_ticket_id_tickets", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name="fk_topic_tickets_topic_id_topics"),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_topic_tickets"),
    )
    op.create_index("ix_topic_tickets_topic_id", "topic_tickets", ["topic_id"])


def downgrade() -> None:
    for table in ("topic_tickets", "topic_days", "topics", "topic_runs"):
        op.drop_table(table)
