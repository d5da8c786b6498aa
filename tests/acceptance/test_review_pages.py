"""Reviewing a transcript in a real browser: what is typed is saved once, never lost, and never overwrites another's."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console_browser import PASSWORD, add_users, make_context
from console_seed import seed_heating_call
from console_site import Site, run_console
from playwright.sync_api import Browser, Page, expect
from test_console_pages import CHROMIUM, NUMBER, WIDTHS, Visitor, chromium

from asr import repository
from asr.review import sentences_of
from hotline.db import Database
from hotline.settings import Settings

__all__ = ["chromium"]
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is not installed")
OTHER = "YQ20260105000029"
SPEECH = "我家的煤改电设备坏了，一直报警，屋里温度上不去。"


@pytest.fixture
def site(settings: Settings, site_database_url: str, valkey: str) -> Iterator[Site]:
    now = datetime.now(UTC)
    with closing(Database(site_database_url)) as database:
        context = make_context(settings, database)
        add_users(context)
        with database.transaction() as session:
            seed_heating_call(session, context.store, now=now)
            second = seed_heating_call(
                session, None, now=now - timedelta(hours=1), call_id="beef", number=OTHER, recorded=False
            )
            second.tier, second.title = "T1", "燃气泄漏，楼道里味道很大"
            for call_id in ("c0ffee", "beef"):
                found = repository.latest_transcript(session, call_id)
                assert found
                found.unsure_share = 0.14
    with run_console(settings, database_url=site_database_url, valkey_url=valkey) as running:
        yield running


@pytest.fixture
def texts(site: Site) -> Any:
    def read(version: int | None = None) -> list[str]:
        with closing(Database(site.settings.effective_database_url())) as database, database.reading() as session:
            found = (
                repository.latest_transcript(session, "c0ffee")
                if version is None
                else repository.transcript_version(session, "c0ffee", version)
            )
            assert found
            return [sentence.text for sentence in sentences_of(found)]

    return read


def row(page: Page, at: int) -> Any:
    return page.locator(f".utterance[data-at='{at}']")


def open_editor(page: Page, at: int) -> Any:
    row(page, at).hover()
    row(page, at).locator("[data-edit]").click()
    field = row(page, at).locator("textarea")
    expect(field).to_be_focused()
    return field


def saved(page: Page, version: int) -> None:
    expect(page.locator("[data-save-state]")).to_have_text(f"已保存，第 {version} 版")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_sentence_is_corrected_split_merged_and_confirmed(
    chromium: Browser, site: Site, texts: Any, width: int, scheme: str
) -> None:
    visitor = Visitor(chromium, site, width=width, scheme=scheme)
    page = visitor.sign_in("reviewer")
    page.goto(f"/tickets/{NUMBER}")
    before = texts()
    expect(page.locator("[data-review]")).to_contain_text("句把握较低")
    page.locator("transcript-player").evaluate("player => player.scrollIntoView()")
    visitor.keep(f"review-{width}-{scheme}")
    field = open_editor(page, 2)
    assert field.input_value() == before[2]
    field.fill(SPEECH)
    visitor.keep(f"editor-{width}-{scheme}")
    field.press("Enter")
    saved(page, 2)
    expect(row(page, 2).locator(".utterance-text")).to_have_text(SPEECH)
    expect(row(page, 2).locator("[data-confirm]")).to_have_attribute("aria-pressed", "true")
    assert texts(1) == before

    field = open_editor(page, 2)
    field.evaluate("(field, at) => field.setSelectionRange(at, at)", SPEECH.index("一直"))
    field.press("Alt+Enter")
    saved(page, 3)
    expect(row(page, 3).locator(".utterance-text")).to_have_text("一直报警，屋里温度上不去。")
    open_editor(page, 2)
    row(page, 2).locator("[data-merge]").click()
    saved(page, 4)
    assert texts()[2] == SPEECH
    open_editor(page, 1)
    row(page, 1).locator("select").select_option("seat")
    row(page, 1).locator("[type=submit]").click()
    saved(page, 5)
    expect(row(page, 1)).to_contain_text("座席")

    page.click("[data-confirm-all]")
    expect(page.locator("[data-review]")).to_contain_text("已确认")
    assert visitor.overflow() <= 0
    page.click("[data-open-dialog=versions]")
    expect(page.locator("#versions li")).to_have_count(5)
    visitor.keep(f"versions-{width}-{scheme}")
    page.locator("#versions a", has_text="第 2 版").click()
    expect(page.locator("[data-diff] li")).to_have_count(1)
    visitor.keep(f"version-{width}-{scheme}")
    assert visitor.overflow() <= 0
    page.get_by_role("button", name="恢复这一版").click()
    page.wait_for_url(f"**/tickets/{NUMBER}")
    expect(page.locator("[data-version-name]")).to_contain_text("第 6 版，reviewer")
    expect(row(page, 1)).to_contain_text("来电人")
    page.goto("/review/quality")
    expect(page.locator(".quality")).to_have_count(1)
    visitor.keep(f"quality-{width}-{scheme}")
    assert visitor.overflow() <= 0
    visitor.leave()


def test_of_two_people_the_later_sees_what_changed_and_keeps_what_he_typed(
    chromium: Browser, site: Site, texts: Any
) -> None:
    first, second = Visitor(chromium, site), Visitor(chromium, site, width=390)
    one, two = first.sign_in("reviewer"), second.sign_in("admin")
    for page in (one, two):
        page.goto(f"/tickets/{NUMBER}")
    typed = "老人和孩子都冻着，请尽快派人来修。"
    field = open_editor(two, 3)
    field.fill(typed)
    open_editor(one, 2).fill(SPEECH)
    one.keyboard.press("Enter")
    saved(one, 2)
    field.press("Enter")
    conflict = row(two, 3).locator("[data-conflict]")
    expect(conflict).to_contain_text("转写已有新的版本（第 2 版）")
    expect(conflict.locator("ins, del").first).to_be_visible()
    expect(field).to_have_value(typed)
    second.keep("conflict-390")
    conflict.get_by_role("button").click()
    expect(row(two, 3).locator("textarea")).to_have_value(typed)
    expect(row(two, 2).locator(".utterance-text")).to_have_text(SPEECH)
    row(two, 3).locator("textarea").press("Enter")
    saved(two, 3)
    assert texts()[2:4] == [SPEECH, typed]
    first.leave()
    second.complaints = [line for line in second.complaints if "409" not in line]  # the browser notes each refusal
    second.leave()


def test_what_was_typed_outlives_a_lost_network_and_a_lost_sign_in(chromium: Browser, site: Site, texts: Any) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("reviewer")
    page.goto(f"/tickets/{NUMBER}")
    field = open_editor(page, 2)
    field.fill(SPEECH)
    visitor.context.set_offline(True)
    field.press("Enter")
    expect(row(page, 2).locator("[data-conflict]")).to_contain_text("没有连上服务器")
    visitor.keep("offline")
    visitor.context.set_offline(False)

    visitor.context.clear_cookies()
    field.press("Enter")
    expect(row(page, 2).locator("[data-conflict]")).to_contain_text("登录已失效")
    expect(field).to_have_value(SPEECH)
    with visitor.context.expect_page() as opened:
        row(page, 2).locator("[data-conflict] a").click()
    again = opened.value
    again.fill("#username", "reviewer")
    again.fill("#password", PASSWORD)
    again.click("form button")
    again.wait_for_url("**/tickets")
    field.press("Enter")
    saved(page, 2)
    assert texts()[2] == SPEECH
    visitor.complaints = [
        line for line in visitor.complaints if not re.search("ERR_INTERNET_DISCONNECTED|40[13]", line)
    ]
    visitor.leave()


def test_a_sentence_sent_twice_is_one_version_and_the_keys_of_an_input_method_are_its_own(
    chromium: Browser, site: Site, texts: Any
) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("reviewer")
    page.goto(f"/tickets/{NUMBER}")
    page.keyboard.press("e")
    field = page.locator(".utterance.editing textarea")
    expect(field).to_be_focused()
    field.evaluate(
        "field => field.dispatchEvent(new KeyboardEvent('keydown', {code: 'Enter', isComposing: true, bubbles: true}))"
    )
    field.press("Escape")
    expect(field).to_have_count(0)
    field = open_editor(page, 2)
    field.fill(SPEECH)
    row(page, 2).locator("[type=submit]").dblclick()
    saved(page, 2)
    page.locator("[data-insert]").click()
    added = page.locator(".utterance.added textarea")
    added.fill("没有识别出的一句。")
    added.press("Enter")
    saved(page, 3)
    assert "没有识别出的一句。" in texts()
    visitor.leave()


def test_a_hidden_number_is_not_edited_before_it_is_shown(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("reviewer")
    page.goto(f"/tickets/{NUMBER}")
    row(page, 4).hover()
    row(page, 4).locator("[data-edit]").click()
    expect(page.locator("#unmask")).to_be_visible()
    expect(page.locator("textarea:visible")).to_have_count(1)
    page.fill("#reason", "核对转写中的号码")
    page.click("#unmask [type=submit]")
    field = open_editor(page, 4)
    assert "13800138000" in field.input_value()
    visitor.leave()


@pytest.mark.parametrize("width", list(WIDTHS))
def test_the_queue_leads_from_one_call_to_the_next_and_ends(chromium: Browser, site: Site, width: int) -> None:
    visitor = Visitor(chromium, site, width=width)
    page = visitor.sign_in("reviewer")
    page.click("nav a >> text=转写审校")
    numbers = page.locator("tr[data-number]")
    expect(numbers).to_have_count(2)
    expect(numbers.first).to_have_attribute("data-number", OTHER)  # an emergency
    visitor.keep(f"queue-{width}")
    assert visitor.overflow() <= 0
    numbers.first.locator("a").click()
    page.wait_for_url(f"**/tickets/{OTHER}?queue=all")
    expect(page.locator(".utterance.selected.unsure")).to_have_count(1)
    expect(page.locator(".utterance.selected")).to_be_in_viewport()
    visitor.keep(f"queued-{width}")
    page.click("[data-confirm-all]")
    page.wait_for_url(f"**/tickets/{NUMBER}?queue=all")
    page.click("text=跳过")
    page.wait_for_url("**/review?queue=all&done=true")
    page.goto(f"/tickets/{NUMBER}?queue=all")
    page.click("[data-confirm-all]")
    page.wait_for_url("**/review?queue=all&done=true")
    expect(page.get_by_text("没有待确认的转写", exact=True)).to_be_visible()
    visitor.keep(f"queue-empty-{width}")
    visitor.leave()


def test_a_viewer_reads_versions_and_changes_nothing(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("viewer")
    page.goto(f"/tickets/{NUMBER}")
    expect(page.locator("[data-edit], [data-review]")).to_have_count(0)
    page.click("[data-open-dialog=versions]")
    page.locator("#versions a").first.click()
    expect(page.get_by_role("heading", name="转写第 1 版")).to_be_visible()
    expect(page.get_by_role("button", name="恢复这一版")).to_have_count(0)
    visitor.leave()
