"""Duplicates: what is suggested of calls whose matter is known, and how long it takes among a million tickets.

    python bench/duplicates.py --json [--tickets 1000000] [--days 730] [--no-postgresql]

Quality: made-up calls of a week (`demo.matters`); some events are told by two to four callers in other words. Their
category is wrong or missing for one call in ten, their town missing for one in twenty, the village for three in twenty.
Speed: the whole work for a new ticket (read, compare, write) for tickets of the last days, on SQLite and PostgreSQL.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from report import machine, print_report, progress, target, versions
from search import server
from sqlalchemy import insert

from demo.matters import KINDS, Made, complain
from hotline.db import Database
from hotline.settings_sections import DuplicateSettings
from tickets.duplicate_jobs import suggest
from tickets.duplicates import Matter, find_duplicates
from tickets.models import Ticket

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
BATCH = 20_000
JOBS = 200
P95_LIMIT_MS = 100.0


def events_of_a_week(chance: random.Random, *, calls: int, repeated: float) -> list[tuple[Made, int, datetime]]:
    """Calls with their event and time; `repeated`: the share of events that several callers tell."""
    made: list[tuple[Made, int, datetime]] = []
    event = 0
    while len(made) < calls:
        first = complain(chance, detail=None)
        detail = chance.choice(("三号楼", "东头", "南门", ""))
        at = NOW - timedelta(hours=chance.uniform(0, 168))
        tellers = chance.randint(2, 4) if chance.random() < repeated else 1
        for _ in range(tellers):
            told = complain(chance, first.kind, first.town, first.spot, detail)
            made.append((told, event, min(NOW, at + timedelta(hours=chance.uniform(0, 36)))))
        event += 1
    return sorted(made, key=lambda item: item[2])


def quality(seed: int, bars: Sequence[float]) -> dict[str, Any]:
    """Precision and recall of suggested pairs, at each bar."""
    chance = random.Random(seed)
    calls = events_of_a_week(chance, calls=1500, repeated=0.12)
    matters, events = [], []
    for number, (made, event, at) in enumerate(calls):
        luck = chance.random()
        category = made.category if luck > 0.1 else "" if luck > 0.05 else chance.choice(KINDS).category
        known = chance.random()
        matters.append(
            Matter(
                ticket_id=number,
                number=str(number),
                at=at,
                text=made.text,
                category=category,
                town=made.town if known > 0.05 else "",
                community=made.spot if known > 0.15 else "",
            )
        )
        events.append((event, made))
    truth = found = 0
    hits, right, same_kind_place = dict.fromkeys(bars, 0), dict.fromkeys(bars, 0), dict.fromkeys(bars, 0)
    for number, matter in enumerate(matters):
        block = [
            other
            for other in matters[:number]
            if (other.town == matter.town and matter.town)
            or ("" in (other.town, matter.town) and other.category == matter.category)
        ]
        truth += sum(events[other.ticket_id][0] == events[number][0] for other in matters[:number])
        for each in find_duplicates(matter, block, at_least=min(bars), most=20):
            event, made = events[each.other.ticket_id]
            own_event, own = events[number]
            alike = (made.kind, made.spot) == (own.kind, own.spot)
            for bar in bars:
                if each.score >= bar:
                    hits[bar] += 1
                    right[bar] += event == own_event
                    same_kind_place[bar] += alike
        found += 1
    return {
        "calls": found,
        "pairs_of_one_event": truth,
        "at": {
            str(bar): {
                "suggested": hits[bar],
                "precision": round(right[bar] / max(1, hits[bar]), 3),
                "same_matter_and_spot": round(same_kind_place[bar] / max(1, hits[bar]), 3),
                "recall": round(right[bar] / max(1, truth), 3),
            }
            for bar in bars
        },
    }


def fill(database: Database, tickets: int, days: int) -> None:
    """Tickets over so many days until now."""
    chance = random.Random(1)
    step = timedelta(days=days) / tickets
    for first in range(0, tickets, BATCH):
        rows = []
        for serial in range(first, min(first + BATCH, tickets)):
            made = complain(chance)
            at = NOW - (tickets - serial) * step
            rows.append(
                {
                    "number": f"B{serial:09}",
                    "lookup_code": "000000",
                    "state": "handling" if (tickets - serial) * step < timedelta(days=10) else "closed",
                    "channel": "phone",
                    "title": made.text[:40],
                    "content": made.text,
                    "category": made.category,
                    "place": made.town,
                    "phone": f"1380000{chance.randrange(10_000):04}",
                    "created_at": at,
                    "updated_at": at,
                }
            )
        with database.transaction() as session:
            session.execute(insert(Ticket), rows)
        if first % (BATCH * 10) == 0:
            progress(f"{first + len(rows)} tickets")


def speed(database: Database, tickets: int) -> dict[str, Any]:
    """Milliseconds of the job."""
    times = []
    for number in range(JOBS):
        began = time.perf_counter()
        with database.transaction() as session:
            suggest(session, tickets - number * 40 % min(tickets, 8000), settings=DuplicateSettings(), now=NOW)
        times.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": round(statistics.median(times), 1), "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--no-postgresql", action="store_true")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "versions": versions("sqlalchemy"), "tickets": options.tickets}
    report["quality"] = quality(7, (0.2, 0.35, 0.5, 0.65, 0.8, 0.9))
    progress(str(report["quality"]))
    targets = {}
    with contextlib.ExitStack() as life:
        folder = life.enter_context(tempfile.TemporaryDirectory())
        urls = {"sqlite": f"sqlite:///{Path(folder) / 'b.db'}"}
        if options.tickets and not options.no_postgresql:
            urls["postgresql"] = life.enter_context(server()) or ""
        for name, url in urls.items() if options.tickets else ():
            if not url:  # no PostgreSQL here
                continue
            with contextlib.closing(Database(url)) as database:
                database.migrate()
                fill(database, options.tickets, options.days)
                if name == "postgresql":
                    with database.engine.connect() as connection:
                        connection.exec_driver_sql("ANALYZE tickets")
                report[name] = speed(database, options.tickets)
                targets[f"{name}_p95"] = target(report[name]["p95_ms"], P95_LIMIT_MS, "ms")
    print_report(report | {"targets": targets}, as_json=options.json)


if __name__ == "__main__":
    main()
