"""Units, who handles a ticket, what was done, when it is due; commands that are done once."""

import sqlalchemy as sa
from alembic import op

from hotline.db import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXTS = {"town": 64, "community": 64, "unit": 32, "handler": 64, "due_step": 16}
TIMES = (
    "dispatched_at",
    "signed_at",
    "contacted_at",
    "on_site_at",
    "submitted_at",
    "closed_at",
    "due_at",
    "check_at",
)


def upgrade() -> None:
    op.create_table(
        "units",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=128), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_units"),
        sa.UniqueConstraint("name", name="uq_units_name"),
    )
    with op.batch_alter_table("tickets") as tickets:
        for name, length in TEXTS.items():
            tickets.add_column(sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
        for name in ("measures", "result", "reply"):
            tickets.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
        for name in TIMES:
            tickets.add_column(sa.Column(name, UtcDateTime(), nullable=True))
        for name in ("latitude", "longitude"):
            tickets.add_column(sa.Column(name, sa.Double(), nullable=True))
        for name in ("confidential", "anonymous"):
            tickets.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        tickets.add_column(sa.Column("caller_kind", sa.String(length=16), nullable=False, server_default="person"))
        tickets.add_column(sa.Column("petitioner", sa.JSON(), nullable=False, server_default="{}"))
        tickets.add_column(sa.Column("parent_id", sa.Integer(), nullable=True))
        tickets.add_column(sa.Column("passes", sa.Integer(), nullable=False, server_default="1"))
        tickets.add_column(sa.Column("fee_cents", sa.Integer(), nullable=True))
        tickets.create_foreign_key("fk_tickets_parent_id_tickets", "tickets", ["parent_id"], ["id"])
        tickets.drop_index("ix_tickets_created_at")
    for columns in (
        ["state", "due_at"],
        ["unit", "state"],
        ["created_at", "id"],
        ["parent_id"],
        ["closed_at"],
        ["check_at"],
    ):
        op.create_index(f"ix_tickets_{'_'.join(columns)}", "tickets", columns)
    with op.batch_alter_table("ticket_events") as events:
        events.add_column(sa.Column("key", sa.String(length=64), nullable=True))
        events.create_unique_constraint("uq_ticket_events_ticket_id_key", ["ticket_id", "key"])
    for name, column in (("ticket_units", "unit"), ("ticket_readers", "username")):
        op.create_table(
            name,
            sa.Column("ticket_id", sa.Integer(), nullable=False),
            sa.Column(column, sa.String(length=32 if column == "unit" else 64), nullable=False),
            *([sa.Column("lead", sa.Boolean(), nullable=False)] if column == "unit" else []),
            sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=f"fk_{name}_ticket_id_tickets"),
            sa.PrimaryKeyConstraint("ticket_id", column, name=f"pk_{name}"),
        )
    op.create_index("ix_ticket_units_unit_ticket_id", "ticket_units", ["unit", "ticket_id"])
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("unit", sa.String(length=32), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.drop_column("unit")
    op.drop_table("ticket_readers")
    op.drop_table("ticket_units")
    with op.batch_alter_table("ticket_events") as events:
        events.drop_constraint("uq_ticket_events_ticket_id_key", type_="unique")
        events.drop_column("key")
    for columns in ("state_due_at", "unit_state", "created_at_id", "parent_id", "closed_at", "check_at"):
        op.drop_index(f"ix_tickets_{columns}", "tickets")
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_constraint("fk_tickets_parent_id_tickets", type_="foreignkey")
        for name in (
            *TEXTS,
            *TIMES,
            *("measures", "result", "reply", "latitude", "longitude", "confidential", "anonymous", "caller_kind"),
            *("petitioner", "parent_id", "passes", "fee_cents"),
        ):
            tickets.drop_column(name)
    op.create_index("ix_tickets_created_at", "tickets", ["created_at"])
    op.drop_table("units")
