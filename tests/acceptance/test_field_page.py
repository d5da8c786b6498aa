"""The page for phones in a real browser at 390 px: photos, a network that goes away, a crew with a link."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attachment_files import photo
from console_browser import add_users, make_context, password_hash
from console_seed import PHONE
from console_site import Site, run_console
from playwright.sync_api import Browser, Page, expect
from test_console_pages import Visitor, pytestmark
from test_console_pages import chromium as chromium  # the fixture
from ticket_people import DISPATCHER, HANDLER, NUMBER, TOWN, add_ticket, give, seed_units

from console.models import User
from hotline.db import Database
from hotline.settings import Settings
from tickets.commands import load_desk
from tickets.lifecycle import Command

__all__ = ["pytestmark"]
LONG = "供热抢修第三分队（夜间值班）王建国师傅及同行人员"
COLOURS = ("#b5651d", "#27548a", "#4b7b3b", "#7a3b69", "#444444", "#c0a030")


@pytest.fixture
def site(settings: Settings, valkey: str) -> Iterator[Site]:
    url = f"sqlite:///{settings.data_dir / 'hotline.db'}"
    now = datetime.now(UTC)
    with closing(Database(url)) as database:
        database.migrate()
        context = make_context(settings, database)
        add_users(context)
        desk = load_desk(settings)
        with database.transaction() as session:
            seed_units(session)
            ticket = add_ticket(session, NUMBER, "c0ffee")
            ticket.address = "张山营镇" + "玉皇庙村幸福小区二期三号院" * 4 + "12 号楼 3 单元 501"
            ban = {"display_name": "班", "role": "unit_handler", "unit": TOWN, "created_at": now}
            session.add(User(username="ban", password_hash=password_hash(), **ban))
            session.flush()
            give(session, ticket, Command.DISPATCH, desk=desk, now=now, actor=DISPATCHER)
            give(session, ticket, Command.SIGN_IN, desk=desk, now=now, actor=HANDLER)
    with run_console(settings, database_url=url, valkey_url=valkey) as running:
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"IMG_{number}_现场照片.jpg" for number in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        path.write_bytes(photo(1600, 1200, colour=colour))
    return paths


def bring(page: Page, *paths: Path) -> None:
    page.locator("input[data-files]").last.set_input_files([str(path) for path in paths])


def no_overflow(visitor: Visitor) -> None:
    assert visitor.overflow() <= 0


def test_a_person_of_a_unit_works_through_a_ticket_with_a_network_that_goes_away(
    chromium: Browser, site: Site, photos: list[Path]
) -> None:
    visitor = Visitor(chromium, site, width=390)
    visitor.context.grant_permissions(["geolocation"], origin=site.address)
    visitor.context.set_geolocation({"latitude": 40.4566, "longitude": 115.9749})
    page = visitor.sign_in("ban")
    page.goto(f"/field/{NUMBER}")
    expect(page.get_by_text("还没有照片")).to_be_visible()
    assert PHONE not in page.content()
    no_overflow(visitor)
    visitor.keep("field-empty")

    page.get_by_role("button", name="已联系").click()
    expect(page.locator(".steps li.done")).to_have_count(2)
    page.get_by_role("button", name="已到场").click()
    expect(page.locator(".steps li.done")).to_have_count(3)

    bring(page, photos[0])
    expect(page.locator(".gallery .attachment")).to_have_count(1)
    assert visitor.complaints == []

    visitor.context.set_offline(True)
    bring(page, *photos[1:3])
    page.fill("#measures", "更换主板，试运行半小时")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("[data-outbox] li")).to_have_count(3)
    expect(page.locator("[data-status]")).to_contain_text("已保存在手机里")
    no_overflow(visitor)
    visitor.keep("field-offline")
    visitor.complaints.clear()  # the browser tells of every request that found no network
    visitor.context.set_offline(False)
    expect(page.locator(".gallery .attachment")).to_have_count(3)
    expect(page.locator("[data-outbox] li")).to_have_count(0)
    visitor.complaints.clear()

    page.fill("#result", "已修好")
    page.reload()
    expect(page.locator("#result")).to_have_value("已修好")  # typed, not yet sent
    expect(page.locator("#measures")).to_have_value("更换主板，试运行半小时")
    bring(page, *photos[3:])
    expect(page.locator(".gallery .attachment")).to_have_count(6)
    page.fill("#fee", "85")
    no_overflow(visitor)
    visitor.keep("field-photos")
    page.get_by_role("button", name="提交结果").click()
    expect(page.get_by_text("待审核").first).to_be_visible()
    page.goto(f"/tickets/{NUMBER}")
    expect(page.locator(".gallery .attachment")).to_have_count(6)
    expect(page.get_by_text("更换主板，试运行半小时").first).to_be_visible()
    no_overflow(visitor)
    page.locator("#attachments").scroll_into_view_if_needed()
    visitor.keep("ticket-photos-390")
    visitor.complaints.clear()  # the seeded call has no waveform
    visitor.leave()


def test_what_waits_survives_the_page_and_a_refused_file_says_why(
    chromium: Browser, site: Site, photos: list[Path], tmp_path: Path
) -> None:
    visitor = Visitor(chromium, site, width=390)
    page = visitor.sign_in("ban")
    page.goto(f"/field/{NUMBER}")
    page.route("**/files", lambda route: route.abort("connectionreset"))
    bring(page, photos[0])
    expect(page.locator("[data-status]")).to_contain_text("已保存在手机里")
    page.unroute("**/files")
    page.reload()
    expect(page.locator(".gallery .attachment")).to_have_count(1)  # out of the phone's own store
    page_file = tmp_path / "page.jpg"
    page_file.write_bytes(b"<svg onload=alert(1)></svg>")
    bring(page, page_file)
    expect(page.locator(".outbox .problem")).to_contain_text("SVG")
    visitor.keep("field-refused")
    page.get_by_role("button", name="删除").click()
    expect(page.locator("[data-outbox] li")).to_have_count(0)
    visitor.complaints.clear()  # of the broken connection and the refusal
    visitor.leave()


def test_a_crew_opens_its_link_on_one_phone_and_works_without_an_account(
    chromium: Browser, site: Site, photos: list[Path]
) -> None:
    office = Visitor(chromium, site, width=1440)
    page = office.sign_in("ban")
    page.goto(f"/tickets/{NUMBER}")
    page.fill("#link-crew", LONG)
    page.get_by_role("button", name="生成链接").click()
    expect(page.locator(".qr svg")).to_be_visible()
    address = page.locator(".link-address").inner_text()
    office.keep("link-shown")

    phone = Visitor(chromium, site, width=390)
    crew = phone.page
    crew.goto(address)
    no_overflow(phone)
    phone.keep("link-open")
    crew.get_by_role("button", name="在这台手机上打开").click()
    expect(crew.get_by_text(LONG)).to_be_visible()
    crew.get_by_role("button", name="已到场").click()  # no position is given
    bring(crew, photos[0])
    crew.fill("#measures", "更换主板")
    crew.get_by_role("button", name="保存").click()
    expect(crew.locator(".gallery .attachment")).to_have_count(1)
    expect(crew.locator(".steps li.done")).to_have_count(2)
    no_overflow(phone)
    phone.keep("field-crew")

    other = Visitor(chromium, site, width=390)
    other.page.goto(address)
    expect(other.page.get_by_text("已在另一台手机上打开")).to_be_visible()
    other.complaints.clear()  # 403
    page.goto(f"/tickets/{NUMBER}")
    expect(page.get_by_text("维修人员（链接 1）").first).to_be_visible()
    page.locator("#links").scroll_into_view_if_needed()
    office.keep("ticket-links")
    office.complaints.clear()  # the seeded call has no waveform
    for visitor in (phone, other, office):
        visitor.leave()
