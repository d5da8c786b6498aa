"""Who edited and confirmed transcripts, and how far recognizers were from the confirmed text."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UNSURE_BELOW = 0.5


def upgrade() -> None:
    with op.batch_alter_table("transcripts") as transcripts:
        transcripts.add_column(sa.Column("current", sa.Boolean(), nullable=False, server_default=sa.true()))
        transcripts.add_column(sa.Column("unsure_share", sa.Double(), nullable=False, server_default="0"))
        transcripts.add_column(sa.Column("editor", sa.String(length=64), nullable=False, server_default=""))
        transcripts.add_column(sa.Column("base_version", sa.Integer(), nullable=True))
        transcripts.add_column(sa.Column("changes", sa.JSON(), nullable=True))
        transcripts.add_column(sa.Column("edit_key", sa.String(length=64), nullable=True))
        transcripts.add_column(sa.Column("confirmed_by", sa.String(length=64), nullable=False, server_default=""))
        transcripts.add_column(sa.Column("confirmed_at", UtcDateTime(), nullable=True))
        transcripts.create_unique_constraint("uq_transcripts_call_id_edit_key", ["call_id", "edit_key"])
    op.create_index("ix_transcripts_current_unsure_share", "transcripts", ["current", "unsure_share"])
    with op.batch_alter_table("segments") as segments:
        segments.add_column(sa.Column("edited_by", sa.String(length=64), nullable=False, server_default=""))
        segments.add_column(sa.Column("edited_at", UtcDateTime(), nullable=True))
        segments.add_column(sa.Column("confirmed_by", sa.String(length=64), nullable=False, server_default=""))
        segments.add_column(sa.Column("confirmed_at", UtcDateTime(), nullable=True))
    op.create_table(
        "recognition_scores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("reference_id", sa.Integer(), nullable=False),
        sa.Column("speaker", sa.String(length=16), nullable=False),
        sa.Column("seat", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("substitutions", sa.Integer(), nullable=False),
        sa.Column("deletions", sa.Integer(), nullable=False),
        sa.Column("insertions", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name="fk_recognition_scores_transcript_id_transcripts",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["reference_id"],
            ["transcripts.id"],
            name="fk_recognition_scores_reference_id_transcripts",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recognition_scores"),
        sa.UniqueConstraint("transcript_id", "speaker", name="uq_recognition_scores_transcript_id_speaker"),
    )
    op.create_index("ix_recognition_scores_day", "recognition_scores", ["day"])
    _note_what_there_is(op.get_bind())


def _note_what_there_is(connection: sa.Connection) -> None:
    """Which versions are current, and how unsure the recognizer was of them."""
    transcripts = sa.table(
        "transcripts",
        *(sa.column(name) for name in ("id", "call_id", "version")),
        sa.column("current", sa.Boolean),
        sa.column("unsure_share", sa.Double),
    )
    segments = sa.table("segments", sa.column("transcript_id"), sa.column("speaker"), sa.column("words", sa.JSON))
    newer = transcripts.alias()
    connection.execute(
        transcripts.update()
        .where(
            sa.exists().where(newer.c.call_id == transcripts.c.call_id, newer.c.version > transcripts.c.version)
        )
        .values(current=False)
    )
    for (transcript_id,) in connection.execute(sa.select(transcripts.c.id)).all():
        words = [
            (len(word[0]), word[3])
            for (words,) in connection.execute(
                sa.select(segments.c.words).where(
                    segments.c.transcript_id == transcript_id, segments.c.speaker != "hotline"
                )
            )
            for word in words
        ]
        unsure = sum(length for length, confidence in words if confidence < UNSURE_BELOW)
        if unsure:
            share = round(unsure / sum(length for length, _ in words), 4)
            connection.execute(
                transcripts.update().where(transcripts.c.id == transcript_id).values(unsure_share=share)
            )


def downgrade() -> None:
    op.drop_table("recognition_scores")
    op.drop_index("ix_transcripts_current_unsure_share", "transcripts")
    with op.batch_alter_table("segments") as segments:
        for column in ("edited_by", "edited_at", "confirmed_by", "confirmed_at"):
            segments.drop_column(column)
    with op.batch_alter_table("transcripts") as transcripts:
        transcripts.drop_constraint("uq_transcripts_call_id_edit_key", type_="unique")
        for column in (
            "current",
            "unsure_share",
            "editor",
            "base_version",
            "changes",
            "edit_key",
            "confirmed_by",
            "confirmed_at",
        ):
            transcripts.drop_column(column)
