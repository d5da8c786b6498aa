"""Calls of flows and desks, call-back surveys, and how often a look-up failed."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("direction", sa.String(length=8), nullable=False, server_default="in"))
        calls.add_column(sa.Column("purpose", sa.String(length=16), nullable=False, server_default="flow"))
        calls.add_column(sa.Column("flow", sa.String(length=64), nullable=False, server_default=""))
    op.create_table(
        "surveys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("pass_number", sa.Integer(), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("contacted", sa.String(length=32), nullable=False),
        sa.Column("solved", sa.String(length=32), nullable=False),
        sa.Column("satisfied", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_surveys"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_surveys_ticket_id_tickets"),
        sa.UniqueConstraint("ticket_id", "pass_number", "phone", name="uq_surveys_ticket_id_pass_number_phone"),
    )
    op.create_index("ix_surveys_state_due_at", "surveys", ["state", "due_at"])
    op.create_table(
        "survey_attempts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_survey_attempts"),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name="fk_survey_attempts_survey_id_surveys"),
        sa.UniqueConstraint("survey_id", "number", name="uq_survey_attempts_survey_id_number"),
    )
    op.create_index("ix_survey_attempts_ended_at", "survey_attempts", ["ended_at"])
    op.create_table(
        "survey_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.Column("answer", sa.String(length=32), nullable=False),
        sa.Column("means", sa.String(length=16), nullable=False),
        sa.Column("offset_ms", sa.Integer(), nullable=True),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_survey_answers"),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name="fk_survey_answers_survey_id_surveys"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_survey_answers_call_id_calls"),
        sa.UniqueConstraint("call_id", "question", name="uq_survey_answers_call_id_question"),
    )
    op.create_index("ix_survey_answers_survey_id", "survey_answers", ["survey_id"])
    op.create_table(
        "lookup_failures",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_lookup_failures"),
    )
    op.create_index("ix_lookup_failures_since", "lookup_failures", ["since"])


def downgrade() -> None:
    for table in ("lookup_failures", "survey_answers", "survey_attempts", "surveys"):
        op.drop_table(table)
    with op.batch_alter_table("calls") as calls:
        for column in ("direction", "purpose", "flow"):
            calls.drop_column(column)
