"""Random commands by random people on one ticket: whatever they try, what must hold holds.

`HOTLINE_COMMAND_SEQUENCES` says how many sequences are tried (10,000 take some minutes).
"""

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from ticket_people import (
    ADMIN,
    BUREAU,
    COMPANY,
    DISPATCHER,
    HANDLER,
    HEAD,
    LEADER,
    MONDAY,
    NUMBER,
    OPERATOR,
    REVIEWER,
    SUPERVISOR,
    TOWN,
    USUAL,
    add_ticket,
    seed_units,
)

from hotline.db import Database
from hotline.errors import HotlineError
from hotline.settings import Settings
from tickets.commands import CommandRequest, load_desk, perform
from tickets.lifecycle import ENDED, TRANSITIONS, Command, State
from tickets.models import Ticket, TicketEvent
from tickets.projection import differences
from tickets.replay import row_of
from tickets.repository import lock_ticket
from tickets.roles import SYSTEM_ACTOR

SEQUENCES = int(os.environ.get("HOTLINE_COMMAND_SEQUENCES", "150"))
DESK = load_desk(Settings(timezone="Asia/Shanghai"))
PEOPLE = (ADMIN, DISPATCHER, HANDLER, HEAD, LEADER, OPERATOR, REVIEWER, SUPERVISOR, SYSTEM_ACTOR)
OTHER = "YQ20260105000026"
VARIANTS: dict[Command, list[dict[str, Any]]] = {
    Command.DISPATCH: [{"unit": TOWN}, {"unit": BUREAU, "co_units": [TOWN]}, {"unit": "none"}, {}],
    Command.MERGE: [{"into": OTHER}, {"into": NUMBER}, {"into": "x"}],
    Command.FLAG: [
        {"flag": "excluded", "code": "other"},
        {"flag": "confidential", "readers": ["ban"]},
        {"flag": "overdue"},
    ],
    Command.UNFLAG: [{"flag": "excluded"}, {"flag": "confidential"}],
    Command.EDIT: [{"tier": "T1"}, {"tier": "T3"}, {"overlay": ""}, {"title": "另一个标题"}, {}],
    Command.ASK_EXTENSION: [{"period": "1h", "told_caller": True}, {"period": "99d", "told_caller": True}],
    Command.DECIDE_EXTENSION: [{"granted": True}, {"granted": False}],
    Command.APPEAL: [{"code": "malicious"}, {"code": "luck"}],
    Command.DECIDE_APPEAL: [{"granted": True, "code": "other"}, {"granted": True}, {"granted": False}],
    Command.DELIBERATE: [{"units": [BUREAU, COMPANY]}],
}
TRIES = st.tuples(
    st.sampled_from(Command),
    st.integers(0, 9),
    st.sampled_from([None, *PEOPLE]),
    st.sampled_from(["", "因为如此"]),
    st.sampled_from([timedelta(), timedelta(minutes=7), timedelta(hours=3), timedelta(days=2), timedelta(minutes=-9)]),
    st.sampled_from([None, "a", "b", "c"]),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('machine')}/hotline.db")
    database.migrate()
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
        add_ticket(session, OTHER, "beef")
    return database


@settings(
    max_examples=SEQUENCES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(tries=st.lists(TRIES, min_size=1, max_size=40), follow=st.booleans())
def test_whatever_people_try_the_ticket_stays_true(
    database: Database, tries: list[tuple[Any, ...]], follow: bool
) -> None:
    """`follow`: a try that the table does not allow becomes one that it does, so that sequences get far."""
    with database.engine.connect() as connection:  # rolled back at the end: the next sequence begins afresh
        outer = connection.begin()
        session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        ticket, now = lock_ticket(session, NUMBER, None), MONDAY
        for command, variant, person, reason, step, key in tries:
            now += step
            state = State(ticket.state)
            if follow and (state, command) not in TRANSITIONS:
                possible = [item for (source, item) in TRANSITIONS if source is state]
                command = possible[variant % len(possible)] if possible else command
            usual = USUAL.get(command, (ADMIN, {}, ""))
            variants = [usual[1], *VARIANTS.get(command, [])]
            request = CommandRequest(command, variants[variant % len(variants)], reason or usual[2], key=key)
            _try(session, ticket, request, person or usual[0], now)
        session.close()
        outer.rollback()


def _try(session: Session, ticket: Ticket, request: CommandRequest, actor: Any, now: Any) -> None:
    before, version, told = State(ticket.state), ticket.version, _count(session, ticket)
    savepoint = session.begin_nested()
    try:
        outcome = perform(session, ticket, request, actor=actor, desk=DESK, now=now)
    except HotlineError:
        savepoint.rollback()
        session.refresh(ticket)
        assert (State(ticket.state), ticket.version, _count(session, ticket)) == (before, version, told)
        return
    savepoint.commit()
    events = list(session.scalars(select(TicketEvent).where(TicketEvent.ticket_id == ticket.id)))
    events.sort(key=lambda item: item.sequence)
    after = State(ticket.state)
    if outcome.repeated:
        assert len(events) == told
        return
    assert TRANSITIONS[before, request.command] is after
    assert [item.sequence for item in events] == list(range(1, len(events) + 1))
    assert differences(row_of(session, ticket), events) == {}
    leads = [link.unit for link in ticket.units if link.lead]
    assert leads == ([ticket.unit] if ticket.unit else [])
    assert bool(ticket.unit) == (after not in {State.ACCEPTING, State.TO_DISPATCH, *_UNSENT})
    assert (ticket.closed_at is not None) == (after in ENDED)
    assert not (ticket.due_step and after in ENDED)
    assert ticket.check_at is None or ticket.check_at > now
    granted = [item for item in events if item.kind == "decide_extension" and item.data["granted"]]
    restarts = 1 + sum(item.kind in {"redo", "supervise", "dispatch"} for item in events)
    assert len(granted) <= restarts
    assert sum(item.kind == "redo" for item in events) <= DESK.settings.max_redos
    returned = [item.data["unit"] for item in events if item.kind == "ask_return"]
    assert len(returned) == len(set(returned))
    keys = [item.key for item in events if item.key]
    assert len(keys) == len(set(keys))


_UNSENT = {State.ANSWERED_DIRECTLY, State.TRANSFERRED, State.MERGED, State.REFUSED}


def _count(session: Session, ticket: Ticket) -> int:
    return session.scalar(select(func.count()).where(TicketEvent.ticket_id == ticket.id)) or 0
