"""The pages of catalogue and units: who sees them, what an upload shows before it counts, what comes out again."""

import io
from collections.abc import AsyncIterator

import httpx
import pytest
from console_browser import PAGE, Browser, add_users, browse, make_context
from console_seed import seed_heating_call
from openpyxl import load_workbook
from sqlalchemy import select

from console.context import ConsoleContext
from console.models import AuditEntry
from hotline.cli_units import EXAMPLES
from hotline.db import Database
from hotline.settings import Settings
from tickets.catalogue_service import catalogue_at
from tickets.sheets import Bounds, read_sheet
from tickets.unit_service import import_units
from tickets.units import COLUMNS, parse_units

TABLE = "类别,属地,主办单位,协办单位,依据,自动派单\n供暖/煤改电设备,,属地,供热公司,设备由属地维修,是\n"
NUMBER = "YQ20260105000011"


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    context = make_context(settings, database)
    add_users(context)
    units = parse_units(read_sheet((EXAMPLES / "units.csv").read_bytes(), COLUMNS, Bounds(1 << 20, 1 << 20, 100)))
    with database.transaction() as session:
        import_units(session, units.units)
    return context


@pytest.fixture
async def browser(context: ConsoleContext) -> AsyncIterator[Browser]:
    async with browse(context) as browser:
        await browser.sign_in("dispatcher")
        yield browser


async def upload(browser: Browser, data: bytes, name: str = "catalogue.csv", note: str = "") -> httpx.Response:
    await browser.get("/catalogue")
    return await browser.client.post(
        "/catalogue", data={"csrf": browser.csrf, "note": note}, files={"file": (name, data)}, headers=PAGE
    )


async def put(browser: Browser, text: str = TABLE) -> str:
    """Uploads and confirms; the version's address."""
    address = (await upload(browser, text.encode())).headers["location"]
    await browser.get(address)
    assert (await browser.post(f"{address}/confirm")).status_code == 303
    return address


async def test_only_those_who_keep_the_catalogue_see_it(context: ConsoleContext) -> None:
    for role in ("viewer", "reviewer"):
        async with browse(context) as browser:
            await browser.sign_in(role)
            assert "派单目录" not in (await browser.get("/tickets")).text
            for path in ("/catalogue", "/units", "/catalogue/1"):
                assert (await browser.get(path)).status_code == 403
            assert (await browser.post("/catalogue/1/confirm")).status_code == 403


async def test_an_upload_is_seen_before_it_counts(browser: Browser, context: ConsoleContext) -> None:
    assert "还没有生效的派单目录" in (await browser.get("/catalogue")).text
    answer = await upload(browser, TABLE.encode(), note="首次<导入>")
    assert (answer.status_code, answer.headers["location"]) == (303, "/catalogue/1")
    page = (await browser.get("/catalogue/1")).text
    assert "草稿" in page
    assert "新增 1" in page
    assert "首次&lt;导入&gt;" in page
    assert "类别 市政园林/路灯 没有承办单位，其余派区中心" in page
    with context.database.reading() as session:
        assert catalogue_at(session, context.clock.now()).version == 0
    assert (await browser.post("/catalogue/1/confirm")).headers["location"] == "/catalogue"
    page = (await browser.get("/catalogue")).text
    assert "生效中" in page
    assert "设备由属地维修" in page
    with context.database.reading() as session:
        assert catalogue_at(session, context.clock.now()).version == 1
        actions = [(entry.action, entry.subject) for entry in session.scalars(select(AuditEntry))]
    assert actions[-2:] == [("catalogue_import", "第 1 版"), ("catalogue_confirm", "第 1 版")]
    assert (await browser.post("/catalogue/1/confirm")).status_code == 409
    assert (await browser.post("/catalogue/1/discard")).status_code == 409


async def test_a_second_version_shows_what_it_changes_and_may_be_dropped(browser: Browser) -> None:
    await put(browser)
    address = (await upload(browser, TABLE.replace("属地,供热公司", "供热公司,").encode())).headers["location"]
    page = (await browser.get(address)).text
    assert "与第 1 版相比" in page
    assert "更改 1" in page
    assert (await browser.post(f"{address}/discard")).status_code == 303
    assert (await browser.get(address)).status_code == 404


async def test_a_moment_in_the_past_or_none_at_all_is_refused(browser: Browser) -> None:
    address = (await upload(browser, TABLE.encode())).headers["location"]
    await browser.get(address)
    assert (await browser.post(f"{address}/confirm", effective="2020-01-01T00:00")).status_code == 400
    assert (await browser.post(f"{address}/confirm", effective="明天")).status_code == 400
    assert (await browser.post(f"{address}/confirm", effective="2026-02-01T08:00")).status_code == 303
    assert "待生效" in (await browser.get("/catalogue")).text


async def test_wrong_lines_are_told_and_nothing_is_kept(browser: Browser) -> None:
    answer = await upload(browser, (TABLE + "供暖,,供热集团,,,\n").encode())
    assert answer.status_code == 400
    assert "第 3 行：没有单位 供热集团，是否为 供热公司？" in answer.text
    assert "没有生效" in (await browser.get("/catalogue")).text
    assert (await upload(browser, b"PK\x03\x04 nonsense", "x.xlsx")).status_code == 400
    assert (await upload(browser, b"")).status_code == 400
    assert (await upload(browser, TABLE.encode().replace("主办单位".encode(), "主责部门".encode()))).status_code == 400
    await browser.get("/catalogue")
    refused = await browser.client.post("/catalogue", files={"file": ("a.csv", TABLE.encode())}, headers=PAGE)
    assert refused.status_code == 403  # without the form's token


async def test_a_table_may_be_larger_than_forms_and_not_larger_than_allowed(
    browser: Browser, context: ConsoleContext
) -> None:
    text = TABLE + "".join(f"# {'说明' * 100}\n" for _ in range(1000))
    assert (await upload(browser, text.encode())).status_code == 303
    too_large = b"x" * (context.settings.tickets.max_import_bytes + 100_000)
    assert (await upload(browser, too_large)).status_code == 413


async def test_what_is_exported_can_be_imported(browser: Browser) -> None:
    address = await put(browser)
    for ending in ("xlsx", "csv"):
        answer = await browser.get(f"{address}/export.{ending}")
        assert f'filename="catalogue-1.{ending}"' in answer.headers["content-disposition"]
        draft = (await upload(browser, answer.content, f"a.{ending}")).headers["location"]
        assert "没有变化" in (await browser.get(draft)).text
    xlsx = await browser.get(f"{address}/export.xlsx")
    assert load_workbook(io.BytesIO(xlsx.content)).worksheets[0]["C2"].value == "属地"
    assert (await browser.get(f"{address}/export.pdf")).status_code == 400


async def test_entries_are_filtered_and_paged(browser: Browser) -> None:
    towns = ["永宁镇", "康庄镇", "八达岭镇", "旧县镇", "儒林街道"]
    firsts = ["供暖", "物业管理", "住房", "城乡建设", "市容环卫", "市政园林", "交通管理", "环境保护", "农村管理"]
    seconds = ["供暖/集中供热温度", "供暖/煤改气", "市政园林/路灯", "水电气讯/供水", "水电气讯/供电", "水电气讯/燃气"]
    seconds += [
        "市政园林/道路破损",
        "市政园林/绿化树木",
        "交通管理/停车",
        "交通管理/公交",
        "环境保护/噪声",
        "劳动社保/欠薪",
    ]
    lines = [f"{category},{town},属地,,,\n" for category in firsts + seconds for town in towns]
    await put(browser, TABLE + "".join(lines))
    page = (await browser.get("/catalogue")).text
    assert page.count("<tr>") == 101
    assert "after=100" in page
    assert (await browser.get("/catalogue?after=100")).text.count("<tr>") == 7
    page = (await browser.get("/catalogue?category=供暖&place=永宁镇")).text
    assert page.count("<tr>") == 4
    assert "没有符合条件" in (await browser.get("/catalogue?unit=bus")).text
    assert (await browser.get("/catalogue?version=99")).status_code == 404
    assert (await browser.get("/catalogue/99999999999999999999")).status_code == 404


async def test_units_are_listed_by_kind(browser: Browser) -> None:
    page = (await browser.get("/units")).text
    assert "全部 51" in page
    assert "永宁镇" in page
    page = (await browser.get("/units?kind=office")).text
    assert "市民热线服务中心" in page
    assert "永宁镇" not in page


async def test_the_ticket_page_suggests_to_those_who_dispatch(browser: Browser, context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        ticket = seed_heating_call(session, context.store, now=context.clock.now())
        ticket.state = "to_dispatch"
    await put(browser)
    page = (await browser.get(f"/tickets/{NUMBER}")).text
    assert "建议承办单位" in page
    assert "派单目录：“供暖/煤改电设备”由属地承办（张山营镇）；设备由属地维修" in page
    assert "协办：供热公司" in page
    async with browse(context) as other:
        await other.sign_in("viewer")
        assert "建议承办单位" not in (await other.get(f"/tickets/{NUMBER}")).text
    with context.database.transaction() as session:
        session.merge(ticket).state = "handling"
    assert "建议承办单位" not in (await browser.get(f"/tickets/{NUMBER}")).text
