"""The three rates as they were published, with their inputs, for good."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("period_begin", UtcDateTime(), nullable=False),
        sa.Column("period_end", UtcDateTime(), nullable=False),
        sa.Column("formula", sa.String(length=32), nullable=False),
        sa.Column("formula_text", sa.Text(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("inputs_sha256", sa.String(length=64), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("outputs_sha256", sa.String(length=64), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("corrects_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["corrects_id"], ["publications.id"], name="fk_publications_corrects_id_publications"),
        sa.PrimaryKeyConstraint("id", name="pk_publications"),
        sa.UniqueConstraint("corrects_id", name="uq_publications_corrects_id"),
    )
    op.create_index("ix_publications_period", "publications", ["period"])
    op.create_index("ix_surveys_closed_at", "surveys", ["closed_at"])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER publications_no_{what.lower()} BEFORE {what} ON publications "
                "BEGIN SELECT RAISE(ABORT, 'a publication cannot be changed'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'a publication cannot be changed'; END $$"
    )
    op.execute(
        "CREATE TRIGGER publications_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON publications "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_index("ix_surveys_closed_at", table_name="surveys")
    op.drop_table("publications")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_change()")
