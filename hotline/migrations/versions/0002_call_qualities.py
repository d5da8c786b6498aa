"""How well the network carried each call."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_qualities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("received_packets", sa.Integer(), nullable=True),
        sa.Column("received_loss", sa.Double(), nullable=True),
        sa.Column("received_jitter_ms", sa.Double(), nullable=True),
        sa.Column("received_mos", sa.Double(), nullable=True),
        sa.Column("sent_packets", sa.Integer(), nullable=True),
        sa.Column("sent_loss", sa.Double(), nullable=True),
        sa.Column("sent_jitter_ms", sa.Double(), nullable=True),
        sa.Column("sent_mos", sa.Double(), nullable=True),
        sa.Column("round_trip_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_qualities_call_id_calls"),
        sa.PrimaryKeyConstraint("id", name="pk_call_qualities"),
        sa.UniqueConstraint("call_id", "position", name="uq_call_qualities_call_id_position"),
    )


def downgrade() -> None:
    op.drop_table("call_qualities")
