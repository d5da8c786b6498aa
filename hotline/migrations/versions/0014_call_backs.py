"""Call-backs by people, and numbers that want none."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("surveys") as surveys:
        surveys.add_column(sa.Column("note", sa.Text(), nullable=False, server_default=""))
        surveys.add_column(sa.Column("by", sa.String(length=64), nullable=False, server_default=""))
    op.create_table(
        "survey_opt_outs",
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("phone", name="pk_survey_opt_outs"),
    )


def downgrade() -> None:
    op.drop_table("survey_opt_outs")
    with op.batch_alter_table("surveys") as surveys:
        surveys.drop_column("by")
        surveys.drop_column("note")
