"""The dispatch catalogue: which unit handles which category where, in versions."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("effective_from", UtcDateTime(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("imported_by", sa.String(length=64), nullable=False),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue_versions"),
    )
    op.create_index("ix_catalogue_versions_effective_from", "catalogue_versions", ["effective_from"])
    op.create_table(
        "catalogue_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("lead", sa.String(length=32), nullable=False),
        sa.Column("co_units", sa.JSON(), nullable=False),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.Column("auto_dispatch", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["catalogue_versions.id"], name="fk_catalogue_entries_version_id_catalogue_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue_entries"),
    )
    op.create_index("ix_catalogue_entries_version_id_category", "catalogue_entries", ["version_id", "category"])


def downgrade() -> None:
    op.drop_table("catalogue_entries")
    op.drop_table("catalogue_versions")
