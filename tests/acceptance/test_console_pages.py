"""A person at the console: a real browser, TLS, database, broker and recording. Chromium comes from Debian."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from console_browser import PASSWORD, add_users, make_context
from console_seed import PHONE, seed_heating_call, seed_many
from console_site import Site, run_console
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hotline.db import Database
from hotline.settings import Settings

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NUMBER = "YQ20260105000011"
WIDTHS = {1440: 900, 390: 844}
BANNER = "演示模型：听不懂真人说话，仅供演示与测试"
SHOTS = os.environ.get("CONSOLE_SCREENSHOTS", "")  # a folder to keep pictures in, for people to look at

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is not installed")
# Every message of the page: a refused resource (CSP) or a script's error must fail the test.
Messages = list[str]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def site(settings: Settings, site_database_url: str, valkey: str) -> Iterator[Site]:
    now = datetime.now(UTC)
    with closing(Database(site_database_url)) as database:
        context = make_context(settings, database)
        add_users(context)
        with database.transaction() as session:
            seed_heating_call(session, context.store, now=now)
            seed_many(session, count=1000, now=now)
    with run_console(settings, database_url=site_database_url, valkey_url=valkey) as running:
        yield running


class Visitor:
    """A page that notes every complaint of the browser."""

    def __init__(self, chromium: Browser, site: Site, *, width: int = 1440, scheme: Any = "light") -> None:
        self.address = site.address
        self.context = chromium.new_context(
            ignore_https_errors=True,  # the CA is checked in the server's own tests
            viewport={"width": width, "height": WIDTHS[width]},
            color_scheme=scheme,
            locale="zh-CN",
            base_url=site.address,
        )
        self.context.set_default_timeout(10_000)
        self.page: Page = self.context.new_page()
        self.complaints: Messages = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self._failed(request.url, str(request.failure)))
        self.foreign: Messages = []
        self.page.on(
            "request",
            lambda request: (
                request.url.removeprefix("blob:").startswith(site.address) or self.foreign.append(request.url)
            ),
        )

    def _failed(self, url: str, why: str) -> None:
        if "ERR_ABORTED" not in why:  # leaving a page ends its event stream
            self.complaints.append(f"{url}: {why}")

    def sign_in(self, username: str = "admin") -> Page:
        self.page.goto("/login")
        self.page.fill("#username", username)
        self.page.fill("#password", PASSWORD)
        self.page.click("form button")
        self.page.wait_for_url("**/tickets")
        return self.page

    def follows(self) -> None:
        expect(self.page.locator("[data-live-status]")).to_have_attribute("data-state", "live")

    def leave(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert self.foreign == []

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def keep(self, name: str) -> None:
        if SHOTS:
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png")


def audio(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('audio').{what}")


def wait_for(page: Page, condition: str) -> None:
    """Waits until a condition on `audio` holds. (`page.wait_for_function` needs eval, which the policy refuses.)"""
    deadline = time.monotonic() + 10
    while not page.evaluate(f"(audio => {condition})(document.querySelector('audio'))"):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_person_signs_in_reads_the_list_and_hears_a_word(
    chromium: Browser, site: Site, width: int, scheme: str
) -> None:
    visitor = Visitor(chromium, site, width=width, scheme=scheme)
    page = visitor.sign_in()
    expect(page.get_by_text(BANNER)).to_be_visible()
    visitor.follows()
    expect(page.locator("tr[data-number]")).to_have_count(50)
    assert PHONE not in page.content()
    assert visitor.overflow() <= 0
    visitor.keep(f"list-{width}-{scheme}")

    page.click(f"tr[data-number={NUMBER}] a")
    page.wait_for_url(f"**/tickets/{NUMBER}")
    expect(page.locator("transcript-player.with-audio")).to_be_visible()
    expect(page.locator("dialog:visible")).to_have_count(0)
    assert visitor.overflow() <= 0
    word = page.locator(".word", has_text="设备").first
    start, end = int(word.get_attribute("data-start") or -1), int(word.get_attribute("data-end") or -1)
    page.evaluate("document.querySelector('audio').playbackRate = 0.25")  # time to look at one word
    word.click()
    wait_for(page, "!audio.paused")
    wait_for(page, f"audio.currentTime >= {start / 1000}")
    assert start / 1000 <= audio(page, "currentTime") < end / 1000 + 0.5
    expect(page.locator(".word.current")).to_have_count(1)
    visitor.keep(f"ticket-{width}-{scheme}")
    visitor.leave()


def test_a_browser_remembers_that_its_reader_wants_no_fillers(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in()
    page.goto(f"/tickets/{NUMBER}")
    page.evaluate("document.querySelector('.word').classList.add('filler')")
    expect(page.locator(".word").first).to_be_visible()
    page.check("[data-hide-fillers]")
    expect(page.locator(".word").first).to_be_hidden()
    page.reload()
    expect(page.locator("[data-hide-fillers]")).to_be_checked()
    links = page.locator("a[data-export]").evaluate_all("links => links.map(link => link.href)")
    assert links
    assert all("fillers=hide" in urlsplit(link).query for link in links)
    page.uncheck("[data-hide-fillers]")
    assert "fillers" not in (page.locator("a[data-export]").first.get_attribute("href") or "")
    visitor.leave()


def test_the_highlighted_word_is_the_one_being_spoken(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in()
    page.goto(f"/tickets/{NUMBER}")
    words = page.locator(".word").evaluate_all(
        "words => words.map(w => [w.textContent, Number(w.dataset.start), Number(w.dataset.end)])"
    )
    audio(page, "load()")
    audio(page, "preload = 'auto'")
    wait_for(page, "audio.readyState >= 2")
    for text, start, end in words[::9]:
        middle = (start + end) / 2000
        audio(page, f"currentTime = {middle}")
        wait_for(page, "!audio.seeking")
        page.evaluate("new Promise(requestAnimationFrame)")
        assert page.locator(".word.current").all_text_contents() == [text], middle
    visitor.leave()


def test_the_whole_player_works_from_the_keyboard_and_the_waveform(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in()
    page.goto(f"/tickets/{NUMBER}")
    wave = page.locator("[data-wave]")
    expect(wave).to_have_css("cursor", "pointer")
    box = wave.bounding_box()
    assert box
    duration = int(page.get_attribute("transcript-player", "data-duration") or 0) / 1000
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    wait_for(page, "!audio.paused")
    assert abs(audio(page, "currentTime") - duration / 2) < 0.6
    expect(page.locator("[data-tip]")).to_be_visible()
    page.keyboard.press("Space")
    wait_for(page, "audio.paused")
    at = audio(page, "currentTime")
    page.keyboard.press("ArrowRight")
    assert audio(page, "currentTime") == pytest.approx(at + 5, abs=0.01)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert audio(page, "currentTime") == pytest.approx(at - 5, abs=0.01)
    page.keyboard.press(".")
    assert (audio(page, "playbackRate"), audio(page, "preservesPitch")) == (1.25, True)
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert audio(page, "playbackRate") == 0.75
    chip = page.locator("[data-fact=place] button.evidence")
    chip.click()
    start = int(chip.get_attribute("data-seek") or -1) / 1000
    wait_for(page, "!audio.paused")
    assert start <= audio(page, "currentTime") < start + 0.6
    page.locator("[data-open-dialog=unmask]").click()
    page.fill("#reason", "回访 , . 时核对")
    assert audio(page, "playbackRate") == 0.75, "keys typed into a form are text"
    page.click("#unmask button[type=submit]")
    expect(page.locator("[data-fact=phone]")).to_contain_text(PHONE)
    visitor.leave()


@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_stretch_is_chosen_on_the_waveform_and_taken_away(chromium: Browser, site: Site, width: int) -> None:
    visitor = Visitor(chromium, site, width=width)
    page = visitor.sign_in()
    page.goto(f"/tickets/{NUMBER}")
    expect(page.get_by_text("录音里的电话等号码以提示音代替")).to_be_visible()
    take = page.locator("[data-span-export]")
    expect(take).to_be_disabled()
    page.locator("[data-wave]").scroll_into_view_if_needed()
    box = page.locator("[data-wave]").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=5)
    page.mouse.up()
    expect(take).to_be_enabled()
    assert audio(page, "paused"), "dragging is not playing"
    duration = int(page.get_attribute("transcript-player", "data-duration") or 0)
    start, end = (int(page.locator(f"[name={name}]").input_value()) for name in ("start_ms", "end_ms"))
    assert (start, end) == (pytest.approx(duration / 4, abs=300), pytest.approx(duration / 2, abs=300))
    assert visitor.overflow() <= 0
    visitor.keep(f"excerpt-{width}")
    page.select_option("[data-span] select", "wav")
    with page.expect_download() as download:
        take.click()
    assert download.value.suggested_filename == f"{NUMBER}-{start // 1000}-{-(-end // 1000)}s.wav"
    page.locator("[data-span-set=start]").click()
    assert page.locator("[name=start_ms]").input_value() == "0"
    visitor.leave()


@pytest.mark.parametrize("width", list(WIDTHS))
def test_an_administrator_keeps_a_call_from_deletion(chromium: Browser, site: Site, width: int) -> None:
    visitor = Visitor(chromium, site, width=width)
    page = visitor.sign_in()
    page.goto(f"/tickets/{NUMBER}")
    page.get_by_role("button", name="法律保全").click()
    page.fill("#hold-reason", "诉讼取证")
    visitor.keep(f"hold-dialog-{width}")
    page.click("#hold button[type=submit]")
    expect(page.locator(".badge", has_text="法律保全")).to_be_visible()
    expect(page.get_by_role("button", name="解除保全")).to_be_visible()
    assert visitor.overflow() <= 0
    visitor.keep(f"held-{width}")
    visitor.leave()


def test_a_viewer_reads_the_transcript_without_the_sound(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site, width=390)
    page = visitor.sign_in("viewer")
    page.goto(f"/tickets/{NUMBER}")
    expect(page.get_by_text("您的角色不能收听录音")).to_be_visible()
    expect(page.locator("audio")).to_have_count(0)
    page.locator(".word").first.click()
    assert PHONE not in page.content()
    visitor.leave()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_captions_of_a_call_in_progress_scroll_as_they_are_spoken(
    chromium: Browser, site: Site, width: int, scheme: str
) -> None:
    answered = (datetime.now(UTC) - timedelta(seconds=42)).isoformat()
    said = [
        ("hotline", "您好，这里是12345热线。本次通话将被录音，录音只用于办理您的诉求，保存两年。", 0),
        ("hotline", "请说出您的诉求，说完请按井号键。", 8000),
        ("caller", "您好，我姓张，住在延庆区张山营镇。", 12_000),
        ("caller", "我家的煤改电设备坏了，一直报警，屋里温度上不去。", 15_500),
    ]
    state: dict[str, Any] = {"call_id": "a", "caller": PHONE, "called": "12345", "node": "n", "answered_at": answered}
    captions = [{"speaker": who, "text": text, "start_ms": at, "end_ms": at + 3000} for who, text, at in said]
    visitor = Visitor(chromium, site, width=width, scheme=scheme)
    page = visitor.sign_in("viewer")
    page.click("nav a >> text=实时通话")
    expect(page.get_by_text("当前没有通话")).to_be_visible()
    visitor.follows()
    site.publish("call.answered", **state)
    card = page.locator(".call-card")
    expect(card.locator("[data-caller]")).to_have_text("138****8000")

    site.bus.put_state("call", "a", {**state, "captions": captions}, ttl_s=60)
    page.reload()
    visitor.follows()
    expect(card.locator(".caption")).to_have_count(4)
    started = time.monotonic()
    site.publish("caption.partial", call_id="a", speaker="caller", text="老人和孩子都冻着，麻烦", start_ms=20_000)
    expect(card.locator(".caption.partial")).to_have_text("来电人 0:20老人和孩子都冻着，麻烦")
    assert time.monotonic() - started < 2
    visitor.keep(f"live-{width}-{scheme}")
    final = {"call_id": "a", "speaker": "caller", "start_ms": 20_000, "end_ms": 26_000}
    site.publish("caption.final", **final, text="老人和孩子都冻着，我的电话是幺三八零零幺三八零零零")
    expect(card.locator(".caption.partial")).to_have_count(0)
    expect(card.locator(".caption").last).to_contain_text("幺三八****八零零零")
    expect(card.locator(".caption").last).to_be_in_viewport()
    assert "幺三八零零幺三八零零零" not in page.content()
    assert visitor.overflow() <= 0

    site.publish("call.ended", call_id="a", reason="completed", duration_ms=30_000)
    site.publish("ticket.created", confidential=False, ticket_id=1, number=NUMBER, call_id="a")
    card.get_by_role("link", name=f"工单 {NUMBER}").click()
    page.wait_for_url(f"**/tickets/{NUMBER}")
    visitor.leave()


def test_a_new_ticket_appears_in_the_open_list(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("viewer")
    visitor.follows()
    with closing(Database(site.settings.effective_database_url())) as database, database.transaction() as session:
        number = "YQ20260105000029"
        moment = datetime.now(UTC) + timedelta(seconds=1)
        seed_heating_call(session, None, now=moment, call_id="beef", recorded=False, number=number)
    site.publish("ticket.created", confidential=False, ticket_id=2, number=number, call_id="beef")
    expect(page.locator("tr[data-number]").first).to_have_attribute("data-number", number)
    page.get_by_role("link", name="下一页").click()
    visitor.follows()
    site.publish("ticket.created", confidential=False, ticket_id=3, number="YQ20260105000037", call_id="x")
    expect(page.locator(".toast")).to_contain_text("新工单 YQ20260105000037")
    visitor.leave()


def test_the_list_narrows_by_state_and_shows_an_empty_result(chromium: Browser, site: Site) -> None:
    visitor = Visitor(chromium, site)
    page = visitor.sign_in("viewer")
    page.select_option("#state", "to_dispatch")
    expect(page.locator("tr[data-number]")).to_have_count(1)
    page.fill("#q", "没有这样的工单")
    page.keyboard.press("Enter")
    expect(page.get_by_text("没有符合条件的工单")).to_be_visible()
    visitor.keep("empty")
    visitor.leave()


@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_search_from_any_page_opens_the_ticket_at_the_second(chromium: Browser, site: Site, width: int) -> None:
    visitor = Visitor(chromium, site, width=width)
    page = visitor.sign_in()
    page.keyboard.press("/")
    expect(page.locator("[data-search-box]")).to_be_focused()
    page.keyboard.type("报警 ")
    page.keyboard.insert_text("温度")
    assert visitor.overflow() <= 0
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?*")
    expect(page.locator(".hit mark")).to_have_text(["报警", "温度"])
    assert visitor.overflow() <= 0
    visitor.keep(f"search-{width}")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#q")).to_have_value("报警 温度")
    quote = page.locator("a.hit-quote").first
    second = float((quote.get_attribute("href") or "").partition("#t=")[2])
    quote.click()
    page.wait_for_url(f"**/tickets/{NUMBER}#t=*")
    wait_for(page, f"Math.abs(audio.currentTime - {second}) < 0.01")
    assert audio(page, "paused") is True
    linked = page.locator(".utterance.linked")
    expect(linked).to_have_count(1)
    expect(linked).to_contain_text("报警")
    expect(linked).to_be_in_viewport()
    visitor.keep(f"search-opened-{width}")
    page.goto("/search")
    assert visitor.overflow() <= 0
    visitor.keep(f"search-help-{width}")
    page.goto("/search?q=没有这个词&speaker=seat")
    expect(page.get_by_text("没有找到")).to_be_visible()
    visitor.keep(f"search-none-{width}")
    visitor.leave()
