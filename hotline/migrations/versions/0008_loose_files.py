"""Files of the recording store between the chain and the disk."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loose_files",
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_loose_files"),
    )
    op.create_index("ix_loose_files_call_id", "loose_files", ["call_id"])


def downgrade() -> None:
    op.drop_table("loose_files")
