"""Importing the tickets of an older system on real databases: once, whole, and with a history that rows follow from."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from hotline.db import Database
from tickets.lifecycle import State
from tickets.models import OldNumber, Ticket, TicketEvent, TicketNumber, TicketUnit, Unit
from tickets.numbering import parse_number
from tickets.old_ticket_repository import ticket_of_old_number
from tickets.old_ticket_service import Imported, import_old_tickets
from tickets.old_tickets import OldTicket, OldTickets
from tickets.places import Fault
from tickets.replay import replay

ZONE, NOW = ZoneInfo("Asia/Shanghai"), datetime(2026, 1, 5, tzinfo=UTC)
START = datetime(2025, 3, 1, 1, 0, tzinfo=UTC)


def old(number: int, state: State = State.CLOSED, *, confidential: bool = False) -> OldTicket:
    at = START + timedelta(minutes=7 * number)
    ended = state is State.CLOSED
    return OldTicket(
        line=number + 2,
        number=f"A-{number}",
        state=state,
        channel="import",
        created_at=at,
        dispatched_at=at + timedelta(minutes=10),
        signed_at=at + timedelta(minutes=30),
        closed_at=at + timedelta(days=2) if ended else None,
        unit="yn",
        handler="老王",
        fields={
            "caller_name": "李女士",
            "phone": "13900139000",
            "place": "",
            "town": "永宁镇",
            "community": "",
            "address": "",
            "title": "路灯不亮",
            "content": "路灯不亮",
            "category": "市政园林/路灯",
            "type": "complaint",
            "tier": "T3",
            "flags": ["confidential"] if confidential else [],
            "anonymous": False,
            **({"result": "已换灯"} if ended else {}),
        },
    )


def bring(database: Database, given: OldTickets, source: str = "old") -> Imported:
    with database.transaction() as session:
        if session.get(Unit, "yn") is None:
            session.add(Unit(code="yn", name="永宁镇", kind="town"))
            session.flush()
        return import_old_tickets(session, given, source=source, prefix="YQ", zone=ZONE, actor="admin", now=NOW)


def test_imported_tickets_keep_their_times_and_rows_follow_from_their_events(database: Database) -> None:
    given = (old(0), old(1, State.HANDLING), old(2, confidential=True))
    assert bring(database, OldTickets(given, (Fault(9, "坏行"),))) == Imported(3, 0, (Fault(9, "坏行"),))
    with database.transaction() as session:
        tickets = session.scalars(select(Ticket).order_by(Ticket.id)).all()
        assert [ticket.state for ticket in tickets] == ["closed", "handling", "closed"]
        assert tickets[0].created_at == START
        assert tickets[0].closed_at == START + timedelta(days=2)
        assert tickets[0].result == "已换灯"
        assert tickets[2].confidential
        assert parse_number(tickets[0].number).day == START.astimezone(ZONE).date()
        kinds = [event.kind for event in tickets[0].events]
        assert kinds == ["created", "dispatch", "sign_in", "imported"]
        assert tickets[0].events[-1].data["old_number"] == "A-0"
        assert [(link.unit, link.lead) for link in tickets[0].units] == [("yn", True)]
        assert (tickets[0].check_at, tickets[1].check_at) == (None, NOW)
        assert [difference for _, difference in replay(session)] == [None] * 3
        assert ticket_of_old_number(session, "A-1") == [tickets[1]]


def test_the_same_again_changes_nothing_and_another_system_may_have_the_same_number(database: Database) -> None:
    given = OldTickets((old(0), old(1)), ())
    bring(database, given)
    assert bring(database, OldTickets((*given.tickets, old(2)), ())) == Imported(1, 2, ())
    assert bring(database, given) == Imported(0, 2, ())
    assert bring(database, given, source="other") == Imported(2, 0, ())
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Ticket)) == 5


def test_a_day_has_only_so_many_numbers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickets.old_ticket_service.MAX_SERIAL", 2)
    done = bring(database, OldTickets(tuple(old(number) for number in range(4)), ()))
    assert (done.added, [fault.line for fault in done.refused]) == (2, [4, 5])


def test_many_are_written_whole(database: Database) -> None:
    count = 1203
    assert bring(database, OldTickets(tuple(old(number) for number in range(count)), ())).added == count
    with database.reading() as session:
        for kind, wanted in ((Ticket, 1), (TicketNumber, 1), (OldNumber, 1), (TicketUnit, 1), (TicketEvent, 4)):
            assert session.scalar(select(func.count()).select_from(kind)) == wanted * count
        pairs = select(OldNumber.number, Ticket.created_at).join(Ticket, OldNumber.ticket_id == Ticket.id)
        for number, created_at in session.execute(pairs):
            assert created_at == START + timedelta(minutes=7 * int(number[2:])), "rows of two tickets were mixed up"
