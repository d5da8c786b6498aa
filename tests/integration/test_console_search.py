"""The search page on both databases: what it shows, to whom, and what is logged."""

import re
from datetime import timedelta
from typing import Any

import pytest
from console_browser import Browser, add_users, browse, make_context
from console_seed import PHONE, seed_heating_call
from sqlalchemy import select, update

from asr.models import Segment, Transcript
from asr.search import index_transcript
from console.context import ConsoleContext
from console.models import AuditEntry
from console.pages.search import format_place, parse_place
from console.search_repository import Place
from hotline.db import Database
from hotline.errors import InvalidInputError
from hotline.settings import Settings
from recordings.models import Call
from tickets.models import Ticket

NUMBER = "YQ20260105000011"
HIT = re.compile(r'<li class="card hit">.*?</li>\s*(?=<li class="card hit">|</ol>)', re.DOTALL)


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    with database.transaction() as session:
        seed_heating_call(session, None, now=made.clock.now())
    return made


def seed_calls(context: ConsoleContext, count: int) -> None:
    """Calls about street lamps, an hour apart, the oldest last; every third has no ticket."""
    now = context.clock.now()
    with context.database.transaction() as session:
        for place in range(count):
            call_id, at = f"lamp{place:04}", now - timedelta(hours=place + 1)
            session.add(Call(id=call_id, caller_number="01069101234", started_at=at, ended_at=at))
            session.flush()
            text = "路灯坏了，" * (1 + (place % 5 == 0)) + f"第{place}号"
            segments = [
                Segment(
                    position=at, speaker="caller", start_ms=9000 * at, end_ms=9000 * at + 900, text=text, confidence=1
                )
                for at in range(1 + place % 2)
            ]
            transcript = Transcript(
                call_id=call_id, version=1, origin="live", engine="vosk", model="x", created_at=at, segments=segments
            )
            session.add(transcript)
            session.flush()
            index_transcript(session, transcript)
            if place % 3:
                session.add(
                    Ticket(
                        number=f"YQ20260104{place:06}",
                        lookup_code="000000",
                        call_id=call_id,
                        state="to_sign",
                        channel="phone",
                        category="市政园林/路灯",
                        title="路灯不亮",
                        created_at=at,
                        updated_at=at,
                    )
                )


def audited(context: ConsoleContext) -> list[tuple[str, str, str]]:
    with context.database.reading() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "search")).all()
        return [(entry.username, entry.subject, entry.reason) for entry in entries]


async def search(browser: Browser, **parameters: Any) -> str:
    response = await browser.client.get("/search", params=parameters, headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    return response.text


async def test_a_hit_names_the_ticket_and_leads_to_its_second(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        page = await search(browser, q="报警")
        assert "找到 <strong>1</strong> 通" in page
        assert "<mark>报警</mark>" in page
        with context.database.reading() as session:
            words = session.scalars(select(Segment.words).where(Segment.text.contains("报警"))).one()
        (start_ms,) = (start for text, start, _end, _confidence in words if text == "报警")
        assert f'href="/tickets/{NUMBER}#t={start_ms / 1000:.1f}"' in page
        assert "来电人" in page
        assert PHONE not in page
        assert "138****8000" in page
    assert audited(context) == []


async def test_every_page_has_the_box_and_the_search_page_its_help(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        for path in ("/tickets", f"/tickets/{NUMBER}", "/live", "/audit", "/search"):
            text = (await browser.get(path)).text
            assert text.count("data-search-box") == 1, path
            assert "/static/js/search-box.js" in text
        assert "怎样搜索" in await search(browser)
        assert "怎样搜索" in await search(browser, q="，。！")


async def test_the_search_wants_a_sign_in(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        response = await browser.get("/search?q=报警")
        assert response.status_code == 303
        assert response.headers["location"].startswith("/login?next=/search")


async def test_who_may_not_see_numbers_does_not_find_them(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        for text in (PHONE, "0013", "幺三八零零幺三八零零零", "1380", "电话是13800"):
            page = await search(browser, q=text)
            assert "没有找到" in page, text
            assert "不能查找隐去的号码" in page, text
        page = await search(browser, q="8000")
        assert "138****<mark>8000</mark>" in page
        assert f"暖气 -{PHONE}" not in page
    assert audited(context) == []


async def test_who_may_see_numbers_finds_them_masked_and_each_time_is_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        page = await search(browser, q=PHONE)
        assert "<mark>138****8000</mark>" in page
        asked = (f'value="{PHONE}"', f"q={PHONE}", f"<title>{PHONE}")
        assert page.count(PHONE) == sum(map(page.count, asked))
        await search(browser, q=PHONE)
        await search(browser, q="报警 -0013")
        await search(browser, q="报警")
    found = ("reviewer", "138****8000", "找到 1 通")
    assert audited(context) == [found, found, ("reviewer", "报警 -0013", "找到 0 通")]


async def test_pages_hold_every_call_once_in_order(context: ConsoleContext) -> None:
    seed_calls(context, 45)
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        for order in ("time", "relevance"):
            address, seen, pages = f"/search?q=路灯&order={order}", list[str](), 0
            while address:
                text = (await browser.get(address)).text
                assert "找到 <strong>45</strong> 通" in text
                seen += re.findall(r"第(\d+)号", "".join(block.split("</li>")[0] for block in HIT.findall(text)))
                following = re.search(r'href="([^"]+)" rel="next"', text)
                address, pages = (following.group(1).replace("&amp;", "&") if following else ""), pages + 1
            assert pages == 3
            assert len(seen) == 45
            assert sorted(map(int, seen)) == list(range(45))
            newest_first = list(map(int, seen))
            if order == "time":
                assert newest_first == sorted(newest_first)
            else:  # two segments with hits go before one
                assert newest_first == sorted(newest_first, key=lambda place: (-(place % 2), place))


async def test_calls_without_a_ticket_are_found_and_lead_nowhere(context: ConsoleContext) -> None:
    seed_calls(context, 1)
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        page = await search(browser, q="路灯")
        assert "没有工单的通话" in page
        assert "/tickets/#" not in page


async def test_filters(context: ConsoleContext) -> None:
    seed_calls(context, 6)
    day = context.clock.now().astimezone(context.settings.zone).date()
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        assert "<strong>4</strong>" in await search(browser, q="路灯", category="市政园林")
        assert "<strong>4</strong>" in await search(browser, q="路灯", category="市政园林/路灯")
        assert "放宽" in await search(browser, q="路灯", category="供暖")
        assert "<strong>6</strong>" in await search(browser, q="路灯", speaker="caller")
        assert "放宽" in await search(browser, q="路灯", speaker="seat")
        assert "放宽" in await search(browser, q="路灯", since=str(day + timedelta(days=1)))
        assert "<strong>6</strong>" in await search(
            browser, q="路灯", since=str(day - timedelta(days=1)), until=str(day)
        )
        assert "放宽" in await search(browser, q="路灯", until=str(day - timedelta(days=2)))


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"q": "灯" * 101}, "最多 100 个字"),
        ({"q": " ".join("甲乙丙丁戊己庚辛壬")}, "最多搜索 8 个词"),
        ({"q": "7"}, "太短"),
        ({"q": "-施工"}, "至少给出一个"),
        ({"q": "路灯", "since": "昨天"}, "日期无效"),
        ({"q": "路灯", "until": "9999-12-31"}, "日期无效"),
        ({"q": "路灯", "after": "1-2-3"}, "翻页位置无效"),
        ({"q": "路灯", "after": "99999999999999-1-1-call"}, "翻页位置无效"),
    ],
)
async def test_what_cannot_be_searched_says_why(context: ConsoleContext, parameters: dict[str, str], told: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        response = await browser.client.get("/search", params=parameters, headers={"Accept": "text/html"})
        assert response.status_code == 400
        assert told in response.text
        assert "data-search-box" in response.text


@pytest.mark.parametrize(
    "text",
    [
        '"',
        '" OR words:*',
        "NEAR(路 灯)",
        "words : 报警",
        "报警*",
        "'; DROP TABLE tickets; --",
        "报警 & ! | <->",
        "\x00报警",
        "<script>",
    ],
)
async def test_hostile_text_is_searched_for_and_nothing_else(context: ConsoleContext, text: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        page = await search(browser, q=text)
        assert "<script>" not in page


async def test_a_flood_of_searches_is_held_back(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        for _ in range(context.settings.search.per_minute):
            await search(browser, q="报警")
        response = await browser.get("/search?q=报警")
        assert response.status_code == 429
        assert "每分钟最多" in response.text
        context.clock.advance(61)  # type: ignore[attr-defined]
        await search(browser, q="报警")


async def test_a_superseded_title_with_markup_is_text(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        session.execute(update(Ticket).values(title="<b>13800138000</b>"))
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        page = await search(browser, q="报警")
        assert "&lt;b&gt;138****8000&lt;/b&gt;" in page


def test_a_place_is_read_back(context: ConsoleContext) -> None:
    place = Place(2, 5, context.clock.now(), "c0ffee")
    assert parse_place(format_place(place)) == place
    assert parse_place("") is None
    for text in ("1", "1-2-3-4-5", "a-b-c-d", f"1-1-{10**30}-a", "1-1-1-;"):
        with pytest.raises(InvalidInputError):
            parse_place(text)
