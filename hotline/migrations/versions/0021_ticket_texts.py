"""What a search by text finds of tickets, for those that there are already too."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from tickets.words import WRITTEN, document

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

CHUNK = 1000
GRAMS = sa.Text().with_variant(TSVECTOR(), "postgresql")
# An external content table, kept in step by triggers; without the places of words, which nothing asks for.
FTS5 = (
    "CREATE VIRTUAL TABLE indexed_tickets_fts USING fts5("
    "words, content='indexed_tickets', content_rowid='ticket_id', tokenize='ascii', detail=none)",
    "CREATE TRIGGER indexed_tickets_added AFTER INSERT ON indexed_tickets BEGIN "
    "INSERT INTO indexed_tickets_fts (rowid, words) VALUES (new.ticket_id, new.words); END",
    "CREATE TRIGGER indexed_tickets_gone AFTER DELETE ON indexed_tickets BEGIN "
    "INSERT INTO indexed_tickets_fts (indexed_tickets_fts, rowid, words) "
    "VALUES ('delete', old.ticket_id, old.words); END",
    "CREATE TRIGGER indexed_tickets_changed AFTER UPDATE ON indexed_tickets BEGIN "
    "INSERT INTO indexed_tickets_fts (indexed_tickets_fts, rowid, words) "
    "VALUES ('delete', old.ticket_id, old.words); "
    "INSERT INTO indexed_tickets_fts (rowid, words) VALUES (new.ticket_id, new.words); END",
)


def upgrade() -> None:
    indexed = op.create_table(
        "indexed_tickets",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("words", GRAMS, nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_indexed_tickets_ticket_id_tickets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_indexed_tickets"),
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in FTS5:
            op.execute(statement)
    tickets = sa.table("tickets", sa.column("id"), *map(sa.column, WRITTEN))
    query = sa.select(tickets).order_by(tickets.c.id).limit(CHUNK)
    last = 0
    while rows := connection.execute(query.where(tickets.c.id > last)).all():
        documents = (document(row[1:], connection.dialect.name) for row in rows)
        connection.execute(
            sa.insert(indexed),
            [{"ticket_id": row.id, "words": words} for row, words in zip(rows, documents, strict=True)],
        )
        last = rows[-1].id
    if connection.dialect.name == "postgresql":
        op.create_index("ix_indexed_tickets_words", "indexed_tickets", ["words"], postgresql_using="gin")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("indexed_tickets_fts")
    op.drop_table("indexed_tickets")
