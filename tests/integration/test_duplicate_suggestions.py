"""Suggested duplicates: from the new ticket to the decision, on rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, ForbiddenError, NotFoundError
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_sections import DuplicateSettings
from tickets import duplicate_repository as duplicates
from tickets.access import Viewer
from tickets.commands import load_desk
from tickets.duplicate_jobs import CATCH_UP, LEASE, DuplicateJobs, accept, dismiss, suggest
from tickets.duplicate_models import DuplicateCheck, DuplicateSuggestion
from tickets.models import Ticket, TicketReader
from tickets.roles import Actor

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
REVIEWER = Viewer("rita", "reviewer")
LAMPS = "我住在川北小区，三号楼前面的一排路灯都不亮了，老人晚上摔了一跤"


def add(session: Session, number: str, **fields: Any) -> Ticket:
    values = {
        "lookup_code": "000000",
        "state": "to_dispatch",
        "channel": "phone",
        "content": LAMPS,
        "category": "市政园林/路灯",
        "place": "儒林街道",
        "community": "川北小区",
        "created_at": NOW,
        "updated_at": NOW,
    }
    ticket = Ticket(number=number, **(values | fields))
    session.add(ticket)
    session.flush()
    return ticket


def look(database: Database, ticket: Ticket, **settings: Any) -> None:
    with database.transaction() as session:
        suggest(session, ticket.id, settings=DuplicateSettings(**settings), now=NOW)


def pairs(database: Database) -> list[tuple[int, int]]:
    with database.reading() as session:
        rows = session.scalars(select(DuplicateSuggestion).order_by(DuplicateSuggestion.id))
        return [(row.ticket_id, row.other_id) for row in rows]


def test_a_new_ticket_gets_its_suggestion_once(database: Database) -> None:
    with database.transaction() as session:
        first = add(session, "A1", created_at=NOW - timedelta(hours=20))
        second = add(session, "A2", content="川北小区三号楼的路灯不亮，一排都灭了，派人来修修吧")
        add(session, "A3", content="川北小区今天停水了", category="水电气讯/供水")
    look(database, second)
    look(database, second)
    look(database, first)
    assert pairs(database) == [(second.id, first.id)]
    with database.reading() as session:
        (suggestion,) = duplicates.suggestions_about(session, first.id, REVIEWER)
        assert suggestion.score > 0.8
        assert {reason["about"] for reason in suggestion.reasons} == {"text", "place", "time", "category"}
        assert suggestion.ticket.number == "A2"
        assert duplicates.open_suggestions(session, REVIEWER, limit=10) == [suggestion]
        assert duplicates.open_suggestions(session, REVIEWER, before_id=suggestion.id, limit=10) == []


def test_what_was_dismissed_does_not_come_back(database: Database) -> None:
    with database.transaction() as session:
        first = add(session, "A1")
        second = add(session, "A2")
    look(database, second)
    with database.transaction() as session:
        (suggestion,) = duplicates.suggestions_about(session, second.id, REVIEWER)
        dismiss(session, suggestion.id, viewer=REVIEWER, now=NOW)
        dismiss(session, suggestion.id, viewer=Viewer("other", "reviewer"), now=NOW + timedelta(days=1))
    look(database, second)
    look(database, first)
    with database.reading() as session:
        assert duplicates.suggestions_about(session, second.id, REVIEWER) == []
        row = session.scalars(select(DuplicateSuggestion)).one()
        assert (row.state, row.decided_by, row.decided_at) == ("dismissed", "rita", NOW)


@pytest.mark.parametrize(
    "other",
    [
        {"state": "closed"},
        {"state": "merged"},
        {"created_at": NOW - timedelta(days=8)},
        {"place": "康庄镇", "community": ""},
    ],
)
def test_what_is_ended_old_or_elsewhere_is_not_compared(database: Database, other: dict[str, Any]) -> None:
    with database.transaction() as session:
        add(session, "A1", **other)
        second = add(session, "A2")
    look(database, second)
    assert pairs(database) == []


def test_a_ticket_that_is_gone_or_ended_has_no_suggestion(database: Database) -> None:
    with database.transaction() as session:
        add(session, "A1")
        second = add(session, "A2", state="merged")
    look(database, second)
    second.id = 4711
    look(database, second)
    assert pairs(database) == []


def test_a_town_that_is_not_known_is_compared_by_category_and_the_caller_everywhere(database: Database) -> None:
    with database.transaction() as session:
        nowhere = add(session, "A1", place="", community="")
        same_caller = add(session, "A2", place="", community="", category="", phone="13800138000")
        new = add(session, "A3", phone="13800138000", community="")
    look(database, new)
    assert set(pairs(database)) == {(new.id, nowhere.id), (new.id, same_caller.id)}


def test_a_pair_is_shown_only_to_those_who_see_both_tickets(database: Database) -> None:
    with database.transaction() as session:
        add(session, "A1", confidential=True)
        second = add(session, "A2")
        session.add(TicketReader(ticket_id=second.id - 1, username="named"))
    look(database, second)
    with database.transaction() as session:
        assert duplicates.suggestions_about(session, second.id, REVIEWER) == []
        (suggestion,) = duplicates.suggestions_about(session, second.id, Viewer("named", "reviewer"))
        with pytest.raises(NotFoundError):
            dismiss(session, suggestion.id, viewer=REVIEWER, now=NOW)


def test_settings_bound_what_is_compared_and_suggested(database: Database) -> None:
    with database.transaction() as session:
        for number in range(6):
            new = add(session, f"A{number}", created_at=NOW - timedelta(hours=6 - number))
    look(database, new, max_compared=3)
    assert len(pairs(database)) == 3
    look(database, new, max_suggestions=4)
    assert len(pairs(database)) == 4


def test_new_tickets_are_looked_at_once_and_old_ones_not(database: Database) -> None:
    clock, queue = ManualClock(NOW), MemoryJobs()
    worker = DuplicateJobs(settings=DuplicateSettings(), database=database, jobs=queue, clock=clock)
    with database.transaction() as session:
        old = add(session, "A1", created_at=NOW - CATCH_UP - timedelta(hours=1))
        second, third = add(session, "A2"), add(session, "A3")
    with queue.lease(LEASE):
        worker.sweep()
        assert pairs(database) == [], "another worker is at it"
    worker.sweep()
    assert set(pairs(database)) == {(second.id, old.id), (third.id, old.id), (third.id, second.id)}
    with database.transaction() as session:
        for row in session.scalars(select(DuplicateSuggestion)):
            session.delete(row)
    worker.sweep()
    assert pairs(database) == []
    clock.advance(3 * CATCH_UP.total_seconds())
    with database.transaction() as session:
        add(session, "A4", created_at=clock.now(), content="停水了", category="", community="")
    worker.sweep()
    with database.reading() as session:
        assert len(list(session.scalars(select(DuplicateCheck)))) == 1


def suggested(database: Database, **fields: Any) -> DuplicateSuggestion:
    with database.transaction() as session:
        add(session, "YQ20260105000011")
        second = add(session, "YQ20260105000022", **fields)
        suggest(session, second.id, settings=DuplicateSettings(), now=NOW)
        return session.scalars(select(DuplicateSuggestion)).one()


def test_accepting_merges_the_later_ticket_once_and_tells_both(database: Database, settings: Settings) -> None:
    made, desk, rita = suggested(database), load_desk(settings), Actor("rita", "reviewer")
    for _ in range(2):
        with database.transaction() as session:
            done = accept(session, made.id, viewer=REVIEWER, actor=rita, desk=desk, now=NOW)
            assert done.state == "accepted"
    with database.transaction() as session:
        later, earlier = session.get_one(Ticket, made.ticket_id), session.get_one(Ticket, made.other_id)
        assert (later.state, later.parent_id) == ("merged", earlier.id)
        assert [event.kind for event in later.events] == ["reconsider", "merge"]
        assert [event.kind for event in earlier.events] == ["merged_in"]
        assert duplicates.open_suggestions(session, REVIEWER, limit=5) == []
        with pytest.raises(ConflictError):
            dismiss(session, made.id, viewer=REVIEWER, now=NOW)


def test_only_who_may_merge_accepts_and_only_where_the_state_allows(database: Database, settings: Settings) -> None:
    made, desk = suggested(database, state="handling"), load_desk(settings)
    with database.transaction() as session:
        with pytest.raises(ConflictError):
            accept(session, made.id, viewer=REVIEWER, actor=Actor("rita", "reviewer"), desk=desk, now=NOW)
        with pytest.raises(ForbiddenError):
            accept(session, made.id, viewer=REVIEWER, actor=Actor("vera", "viewer"), desk=desk, now=NOW)
        dismiss(session, made.id, viewer=REVIEWER, now=NOW)
        with pytest.raises(ConflictError):
            accept(session, made.id, viewer=REVIEWER, actor=Actor("rita", "reviewer"), desk=desk, now=NOW)
