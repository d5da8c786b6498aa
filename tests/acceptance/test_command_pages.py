"""A person gives commands at the console, in a real browser."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from console_browser import add_users, make_context
from console_seed import seed_heating_call
from console_site import Site, run_console
from playwright.sync_api import Browser, expect
from test_console_pages import NUMBER, WIDTHS, Visitor, chromium  # noqa: F401
from test_console_pages import pytestmark as pytestmark
from ticket_people import TOWN, seed_units

from hotline.db import Database
from hotline.settings import Settings


@pytest.fixture
def desk_site(settings: Settings, valkey: str) -> Iterator[Site]:
    url = f"sqlite:///{settings.data_dir / 'hotline.db'}"
    with closing(Database(url)) as database:
        database.migrate()
        context = make_context(settings, database)
        add_users(context)
        with database.transaction() as session:
            seed_units(session)
            seed_heating_call(session, context.store, now=datetime.now(UTC))
    with run_console(settings, database_url=url, valkey_url=valkey) as running:
        yield running


@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_ticket_is_dispatched_signed_and_handled_on_its_page(
    chromium: Browser,  # noqa: F811
    desk_site: Site,
    width: int,
) -> None:
    visitor = Visitor(chromium, desk_site, width=width)
    page = visitor.sign_in("dispatcher")
    page.goto(f"/tickets/{NUMBER}")
    visitor.keep(f"commands-{width}")
    page.get_by_role("button", name="派单", exact=True).click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("主办单位").select_option(TOWN)
    dialog.get_by_label("区热力公司").check()
    dialog.get_by_label("派单依据").select_option("catalogue")
    visitor.keep(f"dispatch-{width}")
    assert visitor.overflow() <= 0
    dialog.get_by_role("button", name="派单").click()
    expect(page.locator(".area-history")).to_contain_text("主办 张山营镇；协办 区热力公司；派单目录")
    visitor.leave()

    visitor = Visitor(chromium, desk_site, width=width)
    page = visitor.sign_in("unit_handler")
    page.goto(f"/tickets/{NUMBER}")
    page.get_by_role("button", name="签收", exact=True).click()
    page.locator("dialog[open]").get_by_role("button", name="签收").click()
    expect(page.locator(".ticket-head")).to_contain_text("办理中")
    page.get_by_role("button", name="提交办理结果").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("办理结果").fill("主板已更换，供暖恢复")
    dialog.get_by_label("收费").fill("八十五元")
    dialog.get_by_role("button", name="提交办理结果").click()
    expect(dialog.get_by_role("alert")).to_contain_text("请填写数字")
    expect(dialog.get_by_label("办理结果")).to_have_value("主板已更换，供暖恢复")  # nothing typed is lost
    visitor.keep(f"refused-{width}")
    dialog.get_by_label("收费").fill("85.5")
    dialog.get_by_role("button", name="提交办理结果").click()
    expect(page.locator(".area-history")).to_contain_text("主板已更换")
    visitor.keep(f"submitted-{width}")
    visitor.complaints = [item for item in visitor.complaints if "400" not in item]  # the browser notes the refusal
    visitor.leave()


def test_what_was_typed_survives_a_change_by_somebody_else(chromium: Browser, desk_site: Site) -> None:  # noqa: F811
    first, second = Visitor(chromium, desk_site), Visitor(chromium, desk_site)
    for visitor in (first, second):
        visitor.sign_in("dispatcher").goto(f"/tickets/{NUMBER}")
    second.page.get_by_role("button", name="备注").click()
    dialog = second.page.locator("dialog[open]")
    dialog.get_by_label("备注").fill("家里有两位老人")
    first.page.get_by_role("button", name="派单", exact=True).click()
    opened = first.page.locator("dialog[open]")
    opened.get_by_label("主办单位").select_option(TOWN)
    opened.get_by_role("button", name="派单").click()
    expect(first.page.locator(".area-history")).to_contain_text("主办 张山营镇")
    dialog.get_by_role("button", name="备注").click()
    expect(dialog.get_by_role("alert")).to_contain_text("工单已被他人更新")
    expect(dialog.get_by_label("备注")).to_have_value("家里有两位老人")
    first.leave()
    second.complaints = [item for item in second.complaints if "409" not in item]
    second.leave()
