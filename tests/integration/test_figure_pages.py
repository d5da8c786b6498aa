"""Pages and files of figures and rates: who sees what, what is logged."""

import csv
import io
from datetime import UTC, datetime

import pytest
from console_browser import browse, make_context, password_hash
from figure_seed import BAD, FAIR, GOOD, seed_ticket, seed_units
from openpyxl import load_workbook
from sqlalchemy import select

from console.context import ConsoleContext
from console.models import AuditEntry, User
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from tickets.commands import load_desk
from tickets.figure_jobs import refresh
from tickets.formulas import load_formulas, month_period
from tickets.models import TicketUnit
from tickets.rate_service import publish

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
NAMES = ("永宁镇", "张山营镇", "区城市管理委")
DAYS = "from=2026-11-01&to=2026-11-10"
PEOPLE = {
    "shen": ("reviewer", ""),
    "ting": ("operator", ""),
    "kan": ("viewer", ""),
    "ban": ("unit_handler", "yn"),
    "wu": ("unit_head", ""),
}


@pytest.fixture
def context(database: Database, settings: Settings) -> ConsoleContext:
    made = make_context(settings, database)
    assert isinstance(made.clock, ManualClock)
    made.clock.advance((NOW - made.clock.now()).total_seconds())
    with database.transaction() as session:
        for name, (role, unit) in PEOPLE.items():
            session.add(
                User(
                    username=name,
                    display_name=name,
                    role=role,
                    unit=unit,
                    password_hash=password_hash(),
                    created_at=NOW,
                )
            )
        seed_units(session)
        ours = seed_ticket(session, 1, BAD, GOOD)
        session.add(TicketUnit(ticket_id=ours.id, unit="yn", lead=True))
        seed_ticket(session, 2, FAIR, unit="zsy", flags=("under_appeal",))
        seed_ticket(session, 3, BAD, unit="zsy", flags=("excluded",))
        seed_ticket(session, 4, GOOD, unit="cgw", category="市政园林/路灯")
    refresh(database, load_desk(settings), settings, now=NOW)
    return made


async def test_figures_are_shown_with_the_days_before(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        page = (await browser.get(f"/figures?{DAYS}")).text
    for words in ("2026-11-01 至 2026-11-10（10 天）", "上月同期", "去年同期", "供暖", "永宁镇", "每日工单"):
        assert words in page
    assert "上周同期" not in page


async def test_rates_are_shown_ranked_with_and_without_exclusions(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        without = (await browser.get("/rates?period=2026-11")).text
        with_all = (await browser.get("/rates?period=2026-11&variant=with_excluded")).text
        unit = (await browser.get("/rates/units/zsy?period=2026-11")).text
    assert all(name in without for name in NAMES)
    assert "96.00" in without  # 张山营镇 without the excluded ticket
    assert "96.00" not in with_all
    assert "剔除后不计" in unit
    assert "申诉中" in unit


async def test_people_of_a_unit_see_their_own_alone(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("ban")
        rates = (await browser.get("/rates?period=2026-11")).text
        assert "永宁镇" in rates
        assert not any(name in rates for name in NAMES[1:])
        figures = (await browser.get(f"/figures?{DAYS}")).text
        assert "来电" not in figures.split("figure-tiles")[1]
        assert "第 2 次办理后" in (await browser.get("/rates/units/yn?period=2026-11")).text
        for address in ("/rates/units/zsy?period=2026-11", "/rates/units/zsy/tickets.csv?period=2026-11"):
            assert (await browser.get(address)).status_code == 403
        rows = (await browser.get("/rates.csv?period=2026-11")).content.decode("utf-8-sig")
        assert "永宁镇" in rows
        assert not any(name in rows for name in NAMES[1:])


@pytest.mark.parametrize("name", ["ting", "kan", "wu"])
async def test_without_the_right_or_a_unit_nothing_is_seen(context: ConsoleContext, name: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in(name)
        for address in ("/figures", "/rates", "/figures.csv", "/rates.xlsx", "/rates/units/yn"):
            assert (await browser.get(address)).status_code == 403


async def test_nobody_signed_in_sees_nothing(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        assert (await browser.get("/rates.csv")).status_code in (303, 401, 403)


async def test_files_are_taken_along_and_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        book = await browser.get("/rates.xlsx?period=2026-11")
        assert "乡镇街道" in load_workbook(io.BytesIO(book.content)).sheetnames
        table = await browser.get(f"/figures.csv?{DAYS}")
        assert any("概况" in row for row in csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))
        assert (await browser.get("/rates/units/zsy/tickets.xlsx?period=2026-11")).status_code == 200
        assert (await browser.get("/rates.pdf")).status_code == 404
    with context.database.reading() as session:
        query = select(AuditEntry.subject).where(AuditEntry.action == "export_figures").order_by(AuditEntry.id)
        assert list(session.scalars(query)) == [
            "rates-2026-11-without_excluded.xlsx",
            "figures-2026-11-01-2026-11-10.csv",
            "rates-2026-11-zsy.xlsx",
        ]


async def test_what_was_published_stays_as_it_was(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        formulas = load_formulas(context.settings.tickets.rates_path)
        formula, period = month_period(formulas, "2026-11", context.settings.zone)
        number = publish(session, formula, period, by="du", now=NOW, note="首次发布").id
        seed_ticket(session, 9, BAD)
    async with browse(context) as browser:
        await browser.sign_in("shen")
        page = (await browser.get(f"/rates?publication={number}")).text
        assert f"已发布 第 {number} 号" in page
        assert "首次发布" in page
        assert (await browser.get("/rates?publication=99")).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/figures?from=yesterday",
        "/figures?from=2026-11-02&to=2026-11-01",
        "/figures?from=2000-01-01&to=2026-01-01",
        "/rates?period=november",
        "/rates?variant=best",
    ],
)
async def test_what_makes_no_sense_is_told(context: ConsoleContext, address: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        assert (await browser.get(address)).status_code in (400, 422)


async def test_a_day_without_anything_is_a_page(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        assert (await browser.get("/figures?from=2025-01-01&to=2025-01-01")).status_code == 200
        assert ">—</td>" in (await browser.get("/rates?period=2025-01")).text
