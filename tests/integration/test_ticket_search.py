"""Tickets found by a part of what is written in them, as a plain comparison of all rows finds them."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from console.repository import TicketFilter, categories_in_use, ticket_page
from hotline.db import Database, alembic_config
from tickets import text_search
from tickets.access import Viewer
from tickets.list_repository import TicketQuery, list_tickets
from tickets.models import IndexedTicket, Ticket, TicketUnit

BEGAN = datetime(2026, 1, 5, 1, tzinfo=UTC)
ADMIN = Viewer("admin", "admin")
TITLES = ("路灯坏了", "路灯，坏了三天", "Gas 泄漏", "灯", "电梯 100% 故障", "拖欠工资 13800138000")


def add(session: Session, *titles: str, **values: object) -> None:
    count = len(session.scalars(select(Ticket.id)).all())
    for index, title in enumerate(titles, start=count):
        row = {"number": f"YQ2026010500{index:04}", "lookup_code": "123456", "state": "to_dispatch", "channel": "phone"}
        at = BEGAN + timedelta(minutes=index)
        session.add(Ticket(**{**row, "title": title, "created_at": at, "updated_at": at, **values}))
    session.flush()


def found(session: Session, wanted: str, **more: str) -> list[str]:
    page = ticket_page(session, ADMIN, TicketFilter(text=wanted, **more), after=None, limit=50)
    return [ticket.title for ticket in page]


def in_order(session: Session, wanted: str) -> list[str]:
    rows = session.scalars(select(Ticket).order_by(Ticket.created_at.desc()))
    return [row.title for row in rows if wanted.lower() in row.title.lower()]


@pytest.mark.parametrize("many", [0, 1, 3000])
@pytest.mark.parametrize("wanted", ["路灯", "灯", "坏了", "路灯坏", "gas", "S", "100%", "，", "%", "没有", "138", "'"])
def test_the_same_is_found_as_by_comparing_all_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch, wanted: str, many: int
) -> None:
    monkeypatch.setattr(text_search, "MANY", many)
    with database.transaction() as session:
        add(session, *TITLES)
        assert found(session, wanted) == in_order(session, wanted)
        page = list_tickets(session, ADMIN, TicketQuery(text=wanted), after=None, limit=50)
        assert [ticket.title for ticket in page] == in_order(session, wanted)


def test_a_number_or_a_phone_is_found_beside_the_texts(database: Database) -> None:
    with database.transaction() as session:
        add(session, *TITLES)
        add(session, "噪音", phone="13800138000")
        assert found(session, "", number="13800138000", phone="13800138000") == ["噪音"]
        assert found(session, "13800138000", number="13800138000") == ["拖欠工资 13800138000"]
        for part in ("yq20260105000002", "YQ20260105000002", "5000002"):
            assert found(session, "", number=part) == ["Gas 泄漏"]
        assert found(session, "", number="路灯") == []
        assert found(session, "路灯", number="路灯") == in_order(session, "路灯")
        assert found(session, "", number="13800138000") == []


def test_what_is_changed_is_found_as_it_is_now_and_what_is_gone_is_not(database: Database) -> None:
    with database.transaction() as session:
        add(session, "路灯坏了", "噪音")
    with database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.title == "路灯坏了")).one()
        ticket.title = "井盖丢了"
    with database.transaction() as session:
        assert found(session, "路灯") == []
        assert found(session, "井盖") == ["井盖丢了"]
        session.execute(delete(Ticket).where(Ticket.title == "噪音"))
        assert session.scalars(select(IndexedTicket.ticket_id)).all() == [ticket.id]
        assert found(session, "噪音") == []


def test_tickets_of_before_the_index_are_found(empty_database_url: str) -> None:
    with contextlib.closing(Database(empty_database_url)) as database:
        database.migrate()
        with database.transaction() as session:
            add(session, *TITLES)
        with database.engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0020")
            assert connection.scalar(text("SELECT count(*) FROM tickets")) == len(TITLES)
        database.migrate()
        with database.reading() as session:
            assert found(session, "路灯") == ["路灯，坏了三天", "路灯坏了"]


def test_the_categories_that_somebody_sees_are_listed_once(database: Database) -> None:
    with database.transaction() as session:
        add(session, "a", "b", category="市政/路灯")
        add(session, "c", category="市政/井盖")
        add(session, "d", category="劳动/工资", confidential=True)
        add(session, "e")
        first = session.scalars(select(Ticket).where(Ticket.title == "a")).one()
        session.add(TicketUnit(ticket_id=first.id, unit="u1", lead=True))
        session.flush()
        assert list(categories_in_use(session, ADMIN)) == sorted(["市政/井盖", "市政/路灯"])
        assert list(categories_in_use(session, Viewer("li", "unit_handler", "u1"))) == ["市政/路灯"]
        assert list(categories_in_use(session, Viewer("li", "unit_handler", "u2"))) == []
        assert list(categories_in_use(session, Viewer("li", "nobody"))) == []
