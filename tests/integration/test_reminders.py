"""Deadlines watched by the worker, on both databases."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from ticket_people import MONDAY, NUMBER, Counter, add_ticket, seed_units

from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from tickets.commands import CHANGED, load_desk
from tickets.lifecycle import Command
from tickets.models import Ticket
from tickets.reminders import Reminder, ReminderJobs


class Watch:
    """The worker's look at the deadlines, at any time."""

    def __init__(self, database: Database) -> None:
        desk = load_desk(Settings(timezone="Asia/Shanghai"))
        self.counter = Counter(database, desk)
        self.clock, self.bus, self.told = ManualClock(MONDAY), MemoryBus(), list[Reminder]()
        self.jobs = ReminderJobs(
            database=database, jobs=MemoryJobs(), bus=self.bus, clock=self.clock, desk=desk, tell=self._tell
        )

    def _tell(self, _session: Session, ticket: Ticket, reminder: Reminder, _now: datetime) -> None:
        assert ticket.number == NUMBER
        self.told.append(reminder)

    def at(self, after: timedelta) -> list[tuple[str, float]]:
        """What is told when the worker looks so long after Monday 9:29, when the ticket was made."""
        self.clock.at = MONDAY - timedelta(minutes=1) + after
        self.told.clear()
        self.jobs.sweep()
        return [(reminder.step, reminder.share) for reminder in self.told]


@pytest.fixture
def watch(database: Database) -> Watch:
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee").check_at = MONDAY
    return Watch(database)


def test_people_are_reminded_at_half_at_four_fifths_and_at_the_end(watch: Watch) -> None:
    found = {minutes: watch.at(timedelta(minutes=minutes)) for minutes in (1, 59, 60, 61, 95, 96, 119, 120, 121)}
    assert {minutes: told for minutes, told in found.items() if told} == {
        60: [("dispatch", 0.5)],
        96: [("dispatch", 0.8)],
        120: [("dispatch", 1.0)],
    }
    ticket = watch.counter.ticket()
    assert [event.kind for event in ticket.events[3:]] == ["reminded", "reminded", "overdue"]
    assert ticket.flags == ["overdue"]
    assert ticket.check_at is None
    assert ticket.due_at == MONDAY + timedelta(minutes=119)
    assert [event.name for event in watch.bus.published] == [CHANGED] * 3
    watch.counter.agrees()


def test_of_what_a_stopped_worker_missed_the_last_is_told_once(watch: Watch) -> None:
    assert watch.at(timedelta(hours=9)) == [("dispatch", 1.0)]
    assert watch.at(timedelta(hours=10)) == []


def test_each_step_has_its_own_reminders(watch: Watch) -> None:
    watch.counter.give(Command.DISPATCH)  # at 9:31
    assert watch.at(timedelta(minutes=17)) == [("sign_in", 0.5)]
    watch.counter.give(Command.SIGN_IN)
    assert watch.at(timedelta(minutes=62)) == [("first_contact", 0.5), ("on_site", 0.5)]
    watch.counter.give(Command.ARRIVE)
    assert watch.at(timedelta(minutes=100)) == []
    assert watch.at(timedelta(minutes=122)) == [("done", 0.5)]


def test_a_suspended_ticket_is_left_in_peace_and_reminded_later(watch: Watch) -> None:
    watch.counter.give(Command.DISPATCH, Command.SIGN_IN, Command.ARRIVE, Command.SUSPEND)
    assert watch.at(timedelta(days=3)) == []
    watch.counter.now = MONDAY + timedelta(days=3)
    watch.counter.give(Command.RESUME)
    assert watch.at(timedelta(days=3)) == []
    assert watch.at(timedelta(days=3, hours=2, minutes=2)) == [("done", 0.5)]


def test_a_step_that_begins_anew_is_reminded_anew(watch: Watch) -> None:
    watch.counter.give(Command.DISPATCH)
    assert watch.at(timedelta(minutes=27)) == [("sign_in", 0.8)]
    watch.counter.give(Command.ASK_RETURN, Command.GRANT_RETURN, Command.DISPATCH)  # at 9:34
    assert watch.at(timedelta(minutes=31)) == [("sign_in", 0.8)]


def test_a_clock_that_was_set_back_tells_nothing_twice(watch: Watch) -> None:
    assert watch.at(timedelta(minutes=60)) == [("dispatch", 0.5)]
    assert watch.at(timedelta(minutes=30)) == []
    assert watch.at(timedelta(minutes=60)) == []
    assert watch.at(timedelta(minutes=96)) == [("dispatch", 0.8)]
