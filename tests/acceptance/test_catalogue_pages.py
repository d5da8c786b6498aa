"""The catalogue's pages and the suggestions on a ticket in a real browser, wide and narrow: nothing overflows."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from console_browser import add_users, make_context
from console_seed import seed_heating_call
from console_site import Site, run_console
from playwright.sync_api import Browser, expect
from test_console_pages import NUMBER, WIDTHS, Visitor, pytestmark
from test_console_pages import chromium as chromium  # the fixture

from hotline.cli_units import EXAMPLES
from hotline.db import Database
from hotline.settings import Settings
from tickets.catalogue import TOWN_UNIT, Entry
from tickets.catalogue_service import add_version, put_in_force, read_catalogue, site_vocabulary
from tickets.sheets import Bounds, read_sheet
from tickets.unit_service import import_units
from tickets.units import COLUMNS, UnitData, parse_units

__all__ = ["pytestmark"]
LONG = "延庆区城市管理综合行政执法局八达岭长城景区及周边区域联合执法工作协调小组办公室（临时机构）"
BASIS = "依据部门职责和属地管理原则，由主办单位牵头，协办单位配合，" * 6


@pytest.fixture
def site(settings: Settings, valkey: str) -> Iterator[Site]:
    url = f"sqlite:///{settings.data_dir / 'hotline.db'}"
    now = datetime.now(UTC)
    with closing(Database(url)) as database:
        database.migrate()
        context = make_context(settings, database)
        add_users(context)
        units = parse_units(read_sheet((EXAMPLES / "units.csv").read_bytes(), COLUMNS, Bounds(1 << 20, 1 << 20, 99)))
        data = (EXAMPLES / "catalogue.csv").read_bytes()
        with database.transaction() as session:
            import_units(session, [*units.units, UnitData("long", LONG, "department")])
            known = site_vocabulary(session, settings)
            entries = list(read_catalogue(data, known, settings.tickets).entries)
            places = [name for name, town in known.places.items() if town]
            used = {entry.key for entry in entries}
            more = [(c, p) for c in sorted(known.categories) for p in places if (c, p) not in used][:1000]
            entries += [Entry(c, p, "long", (TOWN_UNIT, "urban"), BASIS[:200], True) for c, p in more]
            version = add_version(session, data, entries, source="catalogue.csv", actor="admin", now=now, note=BASIS)
            put_in_force(session, version, known, effective_from=now, now=now)
            seed_heating_call(session, context.store, now=now).state = "to_dispatch"
    with run_console(settings, database_url=url, valkey_url=valkey) as running:
        yield running


@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_table_is_looked_at_before_it_counts_and_nothing_overflows(
    chromium: Browser, site: Site, width: int, tmp_path: Path
) -> None:
    visitor = Visitor(chromium, site, width=width)
    page = visitor.sign_in()

    def seen(name: str) -> None:
        assert visitor.overflow() <= 0
        visitor.keep(f"{name}-{width}")

    page.goto("/catalogue")
    expect(page.locator(".catalogue-table tbody tr")).to_have_count(100)
    seen("catalogue")
    page.goto("/catalogue?unit=long")
    expect(page.locator("td").filter(has_text=LONG).first).to_be_visible()
    seen("catalogue-long")
    page.goto("/catalogue?place=无此地")
    expect(page.get_by_text("没有符合条件的行")).to_be_visible()
    seen("catalogue-empty")
    page.goto("/units")
    seen("units")

    page.goto("/catalogue")
    page.get_by_role("button", name="导入新版").click()
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("类别,属地,主办单位\n供暖,,供热集团\n", encoding="utf-8")
    page.set_input_files("#file", wrong)
    seen("catalogue-upload")
    page.get_by_role("button", name="检查并预览").click()
    expect(page.get_by_text("是否为 供热公司")).to_be_visible()
    visitor.complaints = [text for text in visitor.complaints if "400" not in text]  # the browser's note of it
    seen("catalogue-faults")

    page.goto("/catalogue")
    page.get_by_role("button", name="导入新版").click()
    page.set_input_files("#file", EXAMPLES / "catalogue.csv")
    page.get_by_role("button", name="检查并预览").click()
    expect(page.get_by_text("删除 1000")).to_be_visible()
    seen("catalogue-preview")
    page.get_by_role("button", name="确认生效").click()
    page.wait_for_url("**/catalogue")
    expect(page.locator(".version[aria-current]")).to_contain_text("生效中")

    page.goto(f"/tickets/{NUMBER}")
    expect(page.locator(".advice-list .first")).to_contain_text("张山营镇")
    page.locator(".advice").scroll_into_view_if_needed()
    seen("ticket-advice")
    visitor.leave()
