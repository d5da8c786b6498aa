"""Ticket numbers stay gap-free and unique while many writers ask at once."""

import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from hotline.db import Database
from tickets.models import TicketNumber
from tickets.service import assign_number

WRITERS = 50
NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def assign(database: Database, call_id: str, *, fail: bool = False) -> str:
    with database.transaction() as session:
        number = assign_number(session, call_id=call_id, prefix="YQ", lookup_code="123456", now=NOW, zone=ZONE)
        if fail:
            raise RuntimeError
        return number.number


def at_once(tasks: list[Callable[[], object]]) -> list[Exception]:
    failures: list[Exception] = []
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> None:
        start.wait()
        try:
            task()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def serials(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(TicketNumber.serial).order_by(TicketNumber.serial)))


def test_fifty_writers_of_two_processes_get_fifty_numbers_in_a_row(database_url: str) -> None:
    with contextlib.closing(Database(database_url)) as first, contextlib.closing(Database(database_url)) as second:
        databases = (first, second)
        failures = at_once([lambda n=n: assign(databases[n % 2], f"call{n}") for n in range(WRITERS)])
        assert failures == []
        assert serials(first) == list(range(1, WRITERS + 1))


def test_writers_for_the_same_call_get_the_same_number(database: Database) -> None:
    numbers: list[str] = []
    failures = at_once([lambda: numbers.append(assign(database, "call")) for _ in range(20)])
    assert failures == []
    assert len(numbers) == 20
    assert len(set(numbers)) == 1
    assert serials(database) == [1]


def test_writers_that_fail_leave_no_gap(database: Database) -> None:
    failures = at_once([lambda n=n: assign(database, f"call{n}", fail=n % 3 == 0) for n in range(30)])
    assert len(failures) == 10
    assert all(isinstance(error, RuntimeError) for error in failures)
    assert serials(database) == list(range(1, 21))


def test_each_local_day_counts_from_one(database: Database) -> None:
    midnight = datetime(2026, 1, 5, 16, 0, tzinfo=UTC)
    with database.transaction() as session:
        numbers = [
            assign_number(session, call_id=call, prefix="YQ", lookup_code="000000", now=now, zone=ZONE).number
            for call, now in (("a", NOW), ("b", NOW), ("c", midnight))
        ]
    assert [number[:15] for number in numbers] == ["YQ2026010500001", "YQ2026010500002", "YQ2026010600001"]
