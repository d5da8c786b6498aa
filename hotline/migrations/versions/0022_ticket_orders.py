"""Tickets of a state by age, and tickets by what is due first."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_tickets_state_due_at", "tickets")
    op.create_index("ix_tickets_state_created_at_id", "tickets", ["state", "created_at", "id"])
    op.create_index("ix_tickets_due_at_id", "tickets", ["due_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_tickets_due_at_id", "tickets")
    op.drop_index("ix_tickets_state_created_at_id", "tickets")
    op.create_index("ix_tickets_state_due_at", "tickets", ["state", "due_at"])
