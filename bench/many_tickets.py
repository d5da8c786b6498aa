"""A million tickets: lists, searches, the board, the rates of a month, and commands of 20 workers, on both databases.

    python bench/many_tickets.py --json [--tickets 1000000] [--database sqlite|postgresql|both]

(`bench/tickets.py` it cannot be called: it would hide the package `tickets` from the other benchmarks.)

Two years of tickets are made with a fixed seed from the taxonomy; of more than `BASE` the rows are copied in the
database. Timed are the functions that the pages call, with a warm cache, as an administrator and as somebody of a unit
sees them. Commands are given by 20 threads in two processes; one in ten goes to one of a few tickets that all want.
After them every success must have one event, and the rows must be what the events say.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import random
import resource
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report import machine, print_report, progress, target, versions
from search import FAULTS, PLACES, THINGS, WHERE, server
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from console.repository import TicketFilter, categories_in_use, ticket_page
from hotline.bus import MemoryBus
from hotline.clock import SystemClock
from hotline.db import Database
from hotline.errors import ConflictError
from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT
from tickets import figure_repository
from tickets.access import Viewer
from tickets.commands import CommandRequest, execute, load_desk
from tickets.formulas import load_formulas, month_period
from tickets.lifecycle import Command
from tickets.list_repository import TicketQuery, due_tickets, list_tickets
from tickets.models import IndexedTicket, Ticket, TicketEvent, TicketUnit, Unit
from tickets.projection import differences
from tickets.rate_service import compute
from tickets.replay import row_of
from tickets.roles import Actor
from tickets.service import SiteData
from tickets.survey_models import Survey
from tickets.words import WRITTEN, document

ZONE = ZoneInfo("Asia/Shanghai")
LAST = datetime(2026, 11, 18, 12, tzinfo=UTC)
BASE, CHUNK, UNITS, DAYS, PAGE, ROUNDS = 20_000, 2_000, 50, 730, 51, 100
P95_LIMIT_MS, COMMANDS_LIMIT, WORKERS, PROCESSES, SECONDS, HOT = 100.0, 200.0, 20, 2, 10.0, 5
OPEN = ("to_dispatch", "to_sign", "handling", "to_review", "to_call_back")
ADMIN, HANDLER = Viewer("admin", "admin"), Viewer("u7.li", "unit_handler", "u7")
VIEWERS = {"admin": ADMIN, "unit": HANDLER}
WORDS = ("路灯", "暖气", "停电", "灯", "永宁镇", "路灯坏了没人修", "永宁镇幸福小区", "井盖丢了", "没有这个词", "8号楼")


def fill(database: Database, tickets: int, site: SiteData) -> dict[str, Any]:
    """Tickets with their events, units and call-backs; seconds."""
    began, base = time.perf_counter(), min(tickets, BASE)
    chance, dialect = random.Random(1), database.engine.dialect.name
    with database.transaction() as session:
        session.add_all(Unit(code=f"u{i}", name=f"单位{i}", kind=("town", "department")[i % 2]) for i in range(UNITS))
    categories = list(site.taxonomy.categories.values())
    for first in range(1, base + 1, CHUNK):
        made = [_ticket(i, base, tickets, chance, categories) for i in range(first, min(first + CHUNK, base + 1))]
        with database.transaction() as session:
            session.execute(insert(Ticket), made)
            session.execute(insert(TicketEvent), [event for row in made for event in _events(row)])
            led = [{"ticket_id": row["id"], "unit": row["unit"], "lead": True} for row in made if row["unit"]]
            session.execute(insert(TicketUnit), led)
            asked = [_survey(row, chance) for row in made if row["state"] == "closed"]
            session.execute(insert(Survey), asked)
            indexed = [
                {"ticket_id": row["id"], "words": document((str(row.get(name, "")) for name in WRITTEN), dialect)}
                for row in made
            ]
            session.execute(insert(IndexedTicket), indexed)
    for copy in range(1, tickets // base):
        with database.transaction() as session:
            _copy(session, copy * base, base)
        if copy % 5 == 0:
            progress(f"{(copy + 1) * base} tickets, {time.perf_counter() - began:.0f} s")
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if dialect == "postgresql":
            for table in ("tickets", "ticket_events", "surveys"):
                last = f"setval(pg_get_serial_sequence('{table}', 'id'), max(id))"
                connection.execute(text(f"SELECT {last} FROM {table}"))
            connection.execute(text("VACUUM ANALYZE"))
    if dialect == "sqlite":
        with database.transaction() as session:
            session.execute(text("ANALYZE"))
    return {"seconds": round(time.perf_counter() - began, 1)}


def _copy(session: Session, offset: int, base: int) -> None:
    """The first tickets again, with other ids and numbers."""
    number = f"'YQ' || substr(cast(100000000000000 + id + {offset} as text), 2)"
    tables = (
        (Ticket, {"id": f"id + {offset}", "number": number}),
        (TicketEvent, {"id": f"id + {offset * 3}", "ticket_id": f"ticket_id + {offset}"}),
        (TicketUnit, {"ticket_id": f"ticket_id + {offset}"}),
        (Survey, {"id": f"id + {offset}", "ticket_id": f"ticket_id + {offset}"}),
        (IndexedTicket, {"ticket_id": f"ticket_id + {offset}"}),
    )
    for model, other in tables:
        names = [column.name for column in model.__table__.columns]
        values = ", ".join(other.get(name, f'"{name}"') for name in names)
        key = "id" if model is Ticket else "ticket_id"
        listed = ", ".join(f'"{name}"' for name in names)
        session.execute(
            text(f"INSERT INTO {model.__tablename__} ({listed}) SELECT {values} FROM {model.__tablename__} "
                 f"WHERE {key} <= {base}")
        )  # fmt: skip


def _ticket(number: int, base: int, tickets: int, chance: random.Random, categories: list[Any]) -> dict[str, Any]:
    category = chance.choice(categories)
    at = LAST - timedelta(days=DAYS) * ((base - number) / base) - timedelta(seconds=chance.randrange(3600))
    # Open are some thousands, the newest, as in a district, however many are closed.
    is_open = number > base * 0.97 and chance.random() < 0.6
    state = chance.choice(OPEN) if is_open else "closed"
    place, fault = chance.choice(PLACES), f"{chance.choice(THINGS)}{chance.choice(FAULTS)}"
    where = f"{place}{chance.choice(WHERE)}{chance.randrange(1, 30)}号楼"
    return {
        "id": number,
        "number": f"YQ{number:014}",
        "lookup_code": "123456",
        "state": state,
        "channel": "phone",
        "type": category.type,
        "tier": category.tier,
        "category": category.name,
        "title": f"{where}{fault}"[:60],
        "content": f"来电人反映：{where}{fault}，{chance.choice(FAULTS)}，希望相关部门尽快处理并答复。",
        "caller_name": chance.choice("王李张刘陈杨赵") + "先生",
        "phone": f"138{chance.randrange(10**8):08}",
        "place": place,
        "address": where,
        "town": place,
        "unit": "" if state == "to_dispatch" else f"u{chance.randrange(UNITS)}",
        "confidential": chance.random() < 0.01,
        "due_at": LAST + timedelta(hours=chance.randrange(-48, 200)) if is_open else None,
        "due_step": "reply" if is_open else "",
        "created_at": at,
        "updated_at": at,
        "closed_at": None if is_open else at + timedelta(days=chance.randrange(1, 9)),
    }


def _events(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Three that make the row what it is."""
    told = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in ("id", "number", "lookup_code", "state", "created_at", "updated_at", "due_at", "due_step",
                        "channel", "confidential")
    }  # fmt: skip
    flags = ["confidential"] if row["confidential"] else []
    row["flags"] = flags
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("created", {"number": row["number"], "channel": row["channel"], "set": {**told, "flags": flags}}),
        ("accepted", {"from": "accepting", "to": "to_dispatch"}),
        ("archived" if row["state"] == "closed" else "noted", {"to": row["state"]}),
    )
    for sequence, (kind, data) in enumerate(steps, start=1):
        yield {
            "id": 3 * (row["id"] - 1) + sequence,
            "ticket_id": row["id"],
            "sequence": sequence,
            "at": row["created_at"],
            "kind": kind,
            "actor": "system",
            "data": data,
        }


def _survey(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    solved, satisfied = chance.choice((("yes", "satisfied"), ("yes", "basically"), ("no", "not_satisfied")))
    return {
        "id": row["id"],
        "ticket_id": row["id"],
        "pass_number": 1,
        "phone": row["phone"],
        "state": "completed",
        "contacted": "yes",
        "solved": solved,
        "satisfied": satisfied,
        "created_at": row["closed_at"],
        "closed_at": row["closed_at"],
    }


def board(session: Session, viewer: Viewer) -> object:
    """What waits: the newest of each open state, and what is due first."""
    for state in OPEN:
        list_tickets(session, viewer, TicketQuery(states=(state,)), after=None, limit=20)
    return due_tickets(session, viewer, limit=50)


def timed(database: Database, run: Callable[[Session, int], object]) -> dict[str, float]:
    """Milliseconds a call: wall and this process's own CPU time."""
    wall, spent = [], []
    for turn in range(-10, ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        with database.reading() as session:
            run(session, turn)
        if turn >= 0:
            wall.append(1000 * (time.perf_counter() - began))
            spent.append(1000 * (time.process_time() - cpu))
    return {
        "p50_ms": round(statistics.median(wall), 1),
        "p95_ms": round(statistics.quantiles(wall, n=20)[-1], 1),
        "cpu_p50_ms": round(statistics.median(spent), 1),
    }


def reads(database: Database, categories: list[str]) -> dict[str, Any]:
    """What the pages read."""
    month = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    found: dict[str, Any] = {}
    for name, viewer in VIEWERS.items():

        def filtered(session: Session, turn: int, viewer: Viewer = viewer) -> object:
            wanted = (
                TicketQuery(states=("handling",)),
                TicketQuery(category=categories[turn % len(categories)]),
                TicketQuery(unit="u7", states=OPEN),
                TicketQuery(tier="T2", created_from=month[0], created_before=month[1]),
                TicketQuery(due_before=LAST),
                TicketQuery(town=PLACES[turn % len(PLACES)], category=categories[turn % len(categories)]),
            )[turn % 6]
            return list_tickets(session, viewer, wanted, after=None, limit=PAGE)

        def page(session: Session, turn: int, viewer: Viewer = viewer) -> object:
            wanted = TicketFilter(category=categories[turn % len(categories)] if turn % 2 else "")
            ticket_page(session, viewer, wanted, after=None, limit=PAGE)
            return categories_in_use(session, viewer)

        def search(session: Session, turn: int, viewer: Viewer = viewer) -> object:
            word = WORDS[turn % len(WORDS)]
            return ticket_page(session, viewer, TicketFilter(text=word, number=word), after=None, limit=PAGE)

        measures = {"list": filtered, "page": page, "search": search, "board": lambda s, _, v=viewer: board(s, v)}
        for what, run in measures.items():
            found[f"{what}_{name}"] = timed(database, run)
            progress(f"{what} as {name}: {found[f'{what}_{name}']}")
    return found


def rates(database: Database) -> dict[str, Any]:
    """The rates of a month as the page reads them, and how long it takes a job to reckon them."""
    formula, period = month_period(load_formulas(PACKAGE_ROOT / "tickets/data/rates.yaml"), "2026-10", ZONE)
    began = time.perf_counter()
    with database.reading() as session:
        reckoned = compute(session, formula, period)
    compute_s = time.perf_counter() - began
    with database.transaction() as session:
        figure_repository.set_draft(
            session, period=period.name, formula=formula.name, cases=len(reckoned.cases),
            outputs=reckoned.outputs, now=LAST,
        )  # fmt: skip
    read = timed(database, lambda session, _: figure_repository.draft(session, period.name))
    return {**read, "cases": len(reckoned.cases), "compute_s": round(compute_s, 2)}


def give_commands(url: str, first: int, workers: int, tickets: int, results: Any) -> None:
    """A process of workers: notes on tickets as they were seen, anew where somebody was before."""
    desk, done = load_desk(Settings()), Counter[str]()
    keys: list[tuple[str, str]] = []
    end = time.monotonic() + SECONDS
    lock = threading.Lock()

    def work(worker: int) -> None:
        chance = random.Random(worker)
        actor = Actor("admin", "admin")
        for turn in itertools.count():
            if time.monotonic() >= end:
                return
            place = chance.randrange(1, HOT + 1) if chance.random() < 0.1 else chance.randrange(1, tickets + 1)
            number, key = f"YQ{place:014}", f"{worker}-{turn}"
            while True:
                with database.reading() as session:
                    version = session.scalar(select(Ticket.version).where(Ticket.number == number))
                request = CommandRequest(Command.NOTE, {"text": "已致电来电人"}, key=key, expected_version=version)
                try:
                    execute(
                        database, MemoryBus(), SystemClock(), number=number, request=request, actor=actor,
                        viewer=None, desk=desk,
                    )  # fmt: skip
                except ConflictError:
                    with lock:
                        done["conflicts"] += 1
                    continue
                break
            with lock:
                done["commands"] += 1
                keys.append((number, key))

    with contextlib.closing(Database(url)) as database:
        threads = [threading.Thread(target=work, args=(first + index,)) for index in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    results.put((dict(done), keys))


def commands(database: Database, tickets: int) -> dict[str, Any]:
    """How many a second, how many had to be given anew, and whether all are there."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    each = WORKERS // PROCESSES
    url = database.engine.url.render_as_string(hide_password=False)
    processes = [
        context.Process(target=give_commands, args=(url, index * each, each, tickets, results))
        for index in range(PROCESSES)
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for process in processes:
        process.start()
    told = [results.get() for _ in processes]
    for process in processes:
        process.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done, keys = Counter[str](), [key for _, own in told for key in own]
    for counts, _ in told:
        done.update(counts)
    lost = repeated = differing = 0
    with database.reading() as session:
        rows = session.execute(
            select(Ticket.number, TicketEvent.key, func.count())
            .join(Ticket, Ticket.id == TicketEvent.ticket_id)
            .where(TicketEvent.key.is_not(None))
            .group_by(Ticket.number, TicketEvent.key)
        )
        kept = {(number, key): count for number, key, count in rows}
        lost = sum(key not in kept for key in keys)
        repeated = sum(count > 1 for count in kept.values()) + len(kept.keys() - set(keys))
        for number in {number for number, _ in keys}:
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            if ticket.id <= BASE:  # the events of copies have the number of the first
                differing += bool(differences(row_of(session, ticket), ticket.events))
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        **done,
        "a_second": round(done["commands"] / SECONDS, 1),
        "cpu_ms_a_command": round(1000 * spent / max(1, done["commands"]), 2),
        "lost": lost,
        "not_asked_for": repeated,
        "rows_unlike_events": differing,
    }


@contextlib.contextmanager
def opened(kind: str) -> Iterator[Database | None]:
    """A migrated, empty database of this run; None where its server is not installed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = f"sqlite:///{Path(folder) / 'bench.db'}" if kind == "sqlite" else stack.enter_context(server())
        if url is None:
            yield None
            return
        database = stack.enter_context(contextlib.closing(Database(url)))
        database.migrate()
        yield database


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--tickets", type=int, default=20_000, help=f"a multiple of {BASE}, or fewer")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args()
    if options.tickets < 100 or (options.tickets > BASE and options.tickets % BASE):
        parser.error(f"--tickets must be 100 to {BASE}, or a multiple of {BASE}")
    site = load_desk(Settings()).site
    report: dict[str, Any] = {
        "benchmark": "many_tickets",
        "machine": machine(),
        "versions": versions("sqlalchemy", "psycopg"),
        "tickets": options.tickets,
        "targets": {},
    }
    kinds = ("sqlite", "postgresql") if options.database == "both" else (options.database,)
    for kind in kinds:
        with opened(kind) as database:
            if database is None:
                progress(f"{kind} is not installed: measured without it")
                continue
            measured: dict[str, Any] = {"fill": fill(database, options.tickets, site)}
            measured |= reads(database, sorted(site.taxonomy.categories))
            measured["rates"] = rates(database)
            measured["commands"] = commands(database, options.tickets)
            progress(f"{kind}: {measured['commands']}")
        report[kind] = measured
        for name, one in measured.items():
            if "p95_ms" in one:
                report["targets"][f"{kind}_{name}_p95"] = target(one["p95_ms"], P95_LIMIT_MS, "ms")
        # More is better: what is told is how long a command takes, of the time that so many a second leave it.
        taken_ms = 1000 / max(0.1, measured["commands"]["a_second"])
        report["targets"][f"{kind}_commands"] = target(round(taken_ms, 2), 1000 / COMMANDS_LIMIT, "ms_a_command")
        for name in ("lost", "not_asked_for", "rows_unlike_events"):
            report["targets"][f"{kind}_{name}"] = target(measured["commands"][name], 0, "commands")
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
