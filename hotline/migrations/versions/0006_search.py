"""What a search over the transcripts looks in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

GRAMS = sa.Text().with_variant(TSVECTOR(), "postgresql")
# An external content table (https://www.sqlite.org/fts5.html#external_content_tables), kept in step by triggers.
FTS5 = (
    "CREATE VIRTUAL TABLE indexed_segments_fts USING fts5("
    "words, unmasked, content='indexed_segments', content_rowid='segment_id', tokenize='ascii')",
    "CREATE TRIGGER indexed_segments_added AFTER INSERT ON indexed_segments BEGIN "
    "INSERT INTO indexed_segments_fts (rowid, words, unmasked) VALUES (new.segment_id, new.words, new.unmasked); END",
    "CREATE TRIGGER indexed_segments_gone AFTER DELETE ON indexed_segments BEGIN "
    "INSERT INTO indexed_segments_fts (indexed_segments_fts, rowid, words, unmasked) "
    "VALUES ('delete', old.segment_id, old.words, old.unmasked); END",
)


def upgrade() -> None:
    op.create_table(
        "indexed_transcripts",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_indexed_transcripts_call_id_calls"),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name="fk_indexed_transcripts_transcript_id_transcripts",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("call_id", name="pk_indexed_transcripts"),
        sa.UniqueConstraint("transcript_id", name="uq_indexed_transcripts_transcript_id"),
    )
    op.create_table(
        "indexed_segments",
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("speaker", sa.String(length=16), nullable=False),
        sa.Column("words", GRAMS, nullable=False),
        sa.Column("unmasked", GRAMS, nullable=True),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segments.id"], name="fk_indexed_segments_segment_id_segments", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["indexed_transcripts.call_id"],
            name="fk_indexed_segments_call_id_indexed_transcripts",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("segment_id", name="pk_indexed_segments"),
    )
    op.create_index("ix_indexed_segments_call_id", "indexed_segments", ["call_id"])
    op.create_index("ix_indexed_segments_call", "indexed_segments", ["segment_id", "call_id", "speaker"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_indexed_segments_words", "indexed_segments", ["words"], postgresql_using="gin")
        op.create_index("ix_indexed_segments_unmasked", "indexed_segments", ["unmasked"], postgresql_using="gin")
    else:
        for statement in FTS5:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("indexed_segments_fts")
    op.drop_table("indexed_segments")
    op.drop_table("indexed_transcripts")
