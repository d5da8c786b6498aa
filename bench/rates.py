"""Figures and rates of a month of many tickets, on SQLite: read from the sums, and reckoned from the rows.

    python bench/rates.py --json [--tickets 1000000]

Timed: what the page of figures reads (a month and the two it is compared with), summing one day anew, the rates of the
month reckoned from all call-backs, and read as the page reads them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report import machine, print_report, progress, target, versions
from sqlalchemy import insert

from console.figure_views import overview
from hotline.db import Database
from hotline.settings_sections import PACKAGE_ROOT
from tickets import figure_repository
from tickets.figures import month_span
from tickets.formulas import load_formulas, month_period
from tickets.models import Ticket, Unit
from tickets.publication import inputs_text, pack
from tickets.rate_service import compute
from tickets.survey_models import Survey

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, DAYS, UNITS, CATEGORIES, CHUNK, ROUNDS = datetime(2026, 10, 19, 4, tzinfo=UTC), 31, 60, 70, 10_000, 40
P95_LIMIT_MS = 100.0
ANSWERS = (("yes", "yes", "satisfied"), ("yes", "yes", "basically"), ("yes", "no", "not_satisfied"))


def fill(database: Database, tickets: int) -> None:
    """Tickets of one period, each called back."""
    step = timedelta(days=DAYS) / tickets
    with database.transaction() as session:
        kinds = ("town", "department")
        session.add_all(Unit(code=f"u{i}", name=f"单位{i}", kind=kinds[i % 2]) for i in range(UNITS))
    for begin in range(0, tickets, CHUNK):
        ids = range(begin + 1, min(begin + CHUNK, tickets) + 1)
        with database.transaction() as session:
            session.execute(insert(Ticket), [_ticket(i, FIRST + step * i) for i in ids])
            session.execute(insert(Survey), [_survey(i, FIRST + step * (i - 1)) for i in ids])
        if begin % 100_000 == 0:
            progress(f"{begin} tickets")


def _ticket(number: int, at: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "number": f"YQ2026101{number:07}",
        "lookup_code": "123456",
        "state": "closed",
        "channel": "phone",
        "type": "help",
        "tier": f"T{number % 4 + 1}",
        "category": f"类{number % 15}/别{number % CATEGORIES}",
        "town": f"镇{number % 18}",
        "unit": f"u{number % UNITS}",
        "created_at": at,
        "updated_at": at,
        "closed_at": at,
    }


def _survey(number: int, at: datetime) -> dict[str, Any]:
    contacted, solved, satisfied = ANSWERS[number % 7 % 3]
    return {
        "ticket_id": number,
        "pass_number": 1,
        "phone": "",
        "state": "completed",
        "contacted": contacted,
        "solved": solved,
        "satisfied": satisfied,
        "created_at": at,
        "closed_at": at,
    }


def p95(work: Callable[[], object]) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.quantiles(taken, n=20)[-1]


def run(tickets: int) -> dict[str, Any]:
    """All measurements."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        database.migrate()
        fill(database, tickets)
        progress("summing")
        began = time.perf_counter()
        for index in range(DAYS + 1):
            day = date(2026, 10, 19) + timedelta(days=index)
            with database.reading() as session:
                counts = figure_repository.count_tickets(session, day, ZONE)
            with database.transaction() as session:
                figure_repository.write_counts(session, day, figure_repository.TICKET_KINDS, counts)
        day_s = (time.perf_counter() - began) / (DAYS + 1)
        formula, period = month_period(load_formulas(PACKAGE_ROOT / "tickets/data/rates.yaml"), "2026-11", ZONE)
        progress("reckoning rates")
        began = time.perf_counter()
        with database.reading() as session:
            reckoned = compute(session, formula, period)
        compute_s = time.perf_counter() - began
        with database.transaction() as session:
            figure_repository.set_draft(
                session,
                period=period.name,
                formula=formula.name,
                cases=len(reckoned.cases),
                outputs=reckoned.outputs,
                now=FIRST,
            )
        stored = len(pack(inputs_text(period, reckoned.cases)))

        def read_figures() -> None:
            with database.reading() as session:
                overview(session, month_span("2026-11"))

        def read_rates() -> None:
            with database.reading() as session:
                draft = figure_repository.draft(session, period.name)
                assert draft is not None
                json.loads(draft.outputs)

        found = {
            "tickets": tickets,
            "cases": len(reckoned.cases),
            "figures_p95_ms": p95(read_figures),
            "rates_p95_ms": p95(read_rates),
            "sum_a_day_s": day_s,
            "compute_rates_s": compute_s,
            "inputs_stored_bytes": stored,
        }
        database.close()
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    options = parser.parse_args()
    found = run(options.tickets)
    targets = {name: target(found[name], P95_LIMIT_MS, "ms") for name in ("figures_p95_ms", "rates_p95_ms")}
    told = {"benchmark": "rates", "machine": machine(), "versions": versions("sqlalchemy"), **found}
    print_report({**told, "targets": targets}, as_json=options.json)


if __name__ == "__main__":
    main()
