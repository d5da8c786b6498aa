"""Commands given on the ticket page, over the real application and both databases."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from console_browser import Browser, add_users, browse, make_context
from sqlalchemy import select
from ticket_people import NUMBER, TOWN, add_ticket, seed_units

from console.context import ConsoleContext
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from tickets.models import Ticket

PAGE = f"/tickets/{NUMBER}"


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
    return made


def ticket(context: ConsoleContext) -> Ticket:
    with context.database.reading() as session:
        found = session.scalars(select(Ticket)).one()
        _ = found.events
        return found


async def give(browser: Browser, command: str, **fields: Any) -> httpx.Response:
    """As the form on the page sends it, with its hidden fields."""
    page = (await browser.get(PAGE)).text
    form = re.search(rf'action="{PAGE}/commands/{command}" data-command>(.*?)</form>', page, re.DOTALL)
    hidden = dict(re.findall(r'name="(key|version)" value="([^"]+)"', form[1])) if form else {}
    return await browser.post(f"{PAGE}/commands/{command}", **(hidden | fields))


async def test_a_dispatcher_sends_and_the_unit_signs(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("dispatcher")
        assert (await give(browser, "dispatch", unit=TOWN, co_units=["rl"], basis="direct")).status_code == 303
        page = (await browser.get(PAGE)).text
        assert "主办 张山营镇；协办 区热力公司" in page
        assert "待签收" in page
    async with browse(context) as browser:
        await browser.sign_in("unit_handler")
        assert (await give(browser, "sign_in")).status_code == 303
    assert (ticket(context).state, ticket(context).handler) == ("handling", "unit_handler")
    assert [event.origin for event in ticket(context).events[-2:]] == ["127.0.0.1"] * 2


async def test_a_double_click_dispatches_once(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("dispatcher")
        await browser.get(PAGE)
        seen = str(ticket(context).version)
        for _ in range(2):
            answer = await browser.post(f"{PAGE}/commands/dispatch", unit=TOWN, basis="direct", key="k", version=seen)
            assert answer.status_code == 303
    assert [event.kind for event in ticket(context).events].count("dispatch") == 1


async def test_refusals_say_why_and_change_nothing(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("dispatcher")
        wrong = [
            (await give(browser, "dispatch", unit="nobody", basis="direct"), 400, "没有这些承办单位"),
            (await give(browser, "dispatch", unit="", basis="direct"), 400, "unit：必须填写"),
            (await give(browser, "dispatch", unit=TOWN, version="9"), 409, "已被他人更新"),
            (await give(browser, "dispatch", unit=TOWN, version="x"), 400, "工单版本无效"),
            (await give(browser, "sign_in"), 403, "您不能签收"),
            (await give(browser, "explode"), 404, "没有这个操作"),
            (await browser.post("/tickets/YQ20260105000099/commands/note", text="x"), 404, "没有工单"),
        ]
        for answer, status, why in wrong:
            assert (answer.status_code, why in answer.text) == (status, True), answer.text
        browser.csrf = "0" * 64
        assert (await browser.post(f"{PAGE}/commands/note", text="x")).status_code == 403
    assert len(ticket(context).events) == 3


async def test_scripts_get_json_and_nobody_else_gets_in(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        answer = await browser.client.post(f"{PAGE}/commands/note", data={"text": "x"})
        assert answer.status_code == 403
        await browser.sign_in("operator")
        await browser.get(PAGE)
        fields = {"csrf": browser.csrf, "text": "家里有老人"}
        answer = await browser.client.post(f"{PAGE}/commands/note", data=fields, headers={"Accept": "application/json"})
        assert answer.json() == {"state": "to_dispatch", "version": ticket(context).version}
    assert ticket(context).events[-1].data["text"] == "家里有老人"


async def test_the_page_shows_how_long_the_next_step_may_take_after_a_command(context: ConsoleContext) -> None:
    assert isinstance(context.clock, ManualClock)
    async with browse(context) as browser:
        await browser.sign_in("dispatcher")
        await give(browser, "dispatch", unit=TOWN, basis="direct")
        context.clock.advance(timedelta(minutes=10).total_seconds())
        assert "签收还剩 20 分" in (await browser.get(PAGE)).text
