"""Reviewing transcripts over HTTP, on a real database of both kinds."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from console_browser import Browser, add_users, browse, make_context
from console_seed import PHONE, seed_heating_call
from sqlalchemy import select, update

from asr import repository
from asr.models import RecognitionScore, Transcript
from asr.quality import replay
from asr.review import sentences_of
from console.context import ConsoleContext
from console.models import AuditEntry
from console.pages.reviews import PAGE_SIZE, format_place, parse_place
from console.review_repository import Place
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import InvalidInputError
from hotline.settings import Settings
from recordings.models import Call
from tickets.models import Ticket

NUMBER = "YQ20260105000011"
PAGE = f"/tickets/{NUMBER}"
EDITS = f"{PAGE}/transcript/edits"
CONFIRM = f"{PAGE}/transcript/confirm"
SPEECH = "我家的煤改电设备坏了，一直报警，屋里温度上不去。"
JSON = {"Accept": "application/json"}


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    with database.transaction() as session:
        seed_heating_call(session, made.store, now=made.clock.now(), recorded=False)
    return made


def texts(context: ConsoleContext) -> list[str]:
    with context.database.reading() as session:
        found = repository.latest_transcript(session, "c0ffee")
        assert found
        return [sentence.text for sentence in sentences_of(found)]


def audit(context: ConsoleContext, *actions: str) -> list[tuple[str, str, str]]:
    with context.database.reading() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.id))
        return [(entry.username, entry.action, entry.reason) for entry in entries]


async def save(browser: Browser, *operations: dict[str, Any], base: int = 1, key: str = "key-00001") -> Any:
    """Sends the operations as the page's script does."""
    form = {"csrf": browser.csrf, "base": base, "key": key, "operations": json.dumps(operations)}
    return await browser.client.post(EDITS, data=form, headers=JSON)


async def test_an_edit_is_saved_logged_and_shown(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        answer = await save(browser, {"do": "text", "at": 2, "text": SPEECH})
        assert (answer.status_code, answer.json()) == (200, {"version": 2})
        page = (await browser.get(PAGE)).text
        assert f'data-text="{SPEECH}"' in page
        assert "第 2 版，reviewer 修改" in page
        version = (await browser.get(f"{PAGE}/transcript/versions/2")).text
        assert "<ins>，</ins>" in version
    assert audit(context, "edit") == [("reviewer", "edit", "第 2 版")]


async def test_who_comes_second_gets_the_number_of_the_new_version(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await save(browser, {"do": "text", "at": 2, "text": SPEECH})
        answer = await save(browser, {"do": "text", "at": 3, "text": "老人冻着。"}, key="key-00002")
        assert (answer.status_code, answer.json()["version"]) == (409, 2)
        assert "新的版本" in answer.json()["error"]
    assert texts(context)[2] == SPEECH


@pytest.mark.parametrize("username", ["viewer", ""])
async def test_only_reviewers_change_anything(context: ConsoleContext, username: str) -> None:
    before = texts(context)
    async with browse(context) as browser:
        await browser.get("/login")
        if username:
            await browser.sign_in(username)
        status = 403 if username else 401
        assert (await save(browser, {"do": "delete", "at": 2})).status_code == status
        form = {"csrf": browser.csrf, "base": "1", "key": "key-00001", "version": "1"}
        for path in (CONFIRM, f"{PAGE}/transcript/restore"):
            assert (await browser.client.post(path, data=form, headers=JSON)).status_code == status
        for path in ("/review", "/review/next", "/review/quality"):
            assert (await browser.client.get(path, headers=JSON)).status_code == status
    assert texts(context) == before


async def test_a_request_of_another_site_changes_nothing(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        browser.csrf = "0" * 64
        assert (await save(browser, {"do": "delete", "at": 2})).status_code == 403
    assert len(texts(context)) == 5


@pytest.mark.parametrize(
    "operations",
    [
        *("", "x", "[", "{}", "[]", "null", "[1]", "[" * 20_000, '[{"do": "drop"}]', '[{"do": "merge", "at": -1}]'),
        json.dumps([{"do": "merge", "at": 0}] * 21),
        '[{"do": "text", "at": 99999999999999999999, "text": "x"}]',
        '[{"do": "split", "at": 1, "offset": 1e3}]',
    ],
)
async def test_what_is_no_edit_is_refused_with_a_reason(context: ConsoleContext, operations: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        form = {"csrf": browser.csrf, "base": "1", "key": "key-00001", "operations": operations}
        answer = await browser.client.post(EDITS, data=form, headers=JSON)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert len(texts(context)) == 5


async def test_a_hidden_number_stays_hidden_from_who_edits(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        answer = await save(browser, {"do": "text", "at": 4, "text": "我的电话是138*1*8000。"})
        assert (answer.status_code, answer.json()["error"]) == (403, "这里有隐去的号码，不能这样修改")
        await browser.post(f"{PAGE}/unmask", reason="核对号码")
        assert PHONE in (await browser.get(PAGE)).text
        assert (await save(browser, {"do": "text", "at": 4, "text": f"我电话是{PHONE}。"})).status_code == 200
        assert isinstance(context.clock, ManualClock)
        context.clock.advance(3600)
        for path in (PAGE, f"{PAGE}/transcript/versions/2"):
            assert PHONE not in (await browser.get(path)).text


async def test_a_script_in_a_text_is_text(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await save(browser, {"do": "text", "at": 2, "text": '路灯"><script>alert(1)</script>'})
        for path in (PAGE, f"{PAGE}/transcript/versions/2"):
            page = (await browser.get(path)).text
            assert "<script>alert" not in page
            assert "路灯" in page


async def test_an_older_version_is_brought_back(context: ConsoleContext) -> None:
    before = texts(context)
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await save(browser, {"do": "delete", "at": 2})
        page = (await browser.get(f"{PAGE}/transcript/versions/1")).text
        assert "恢复这一版" in page
        for _ in range(2):  # a double click
            answer = await browser.post(f"{PAGE}/transcript/restore", base=2, key="key-00002", version=1)
            assert answer.status_code == 303
        assert (await browser.get(f"{PAGE}/transcript/versions/4")).status_code == 404
    assert texts(context) == before


async def test_a_confirmation_scores_the_recognizer_and_can_be_replayed(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await save(browser, {"do": "text", "at": 2, "text": "我家的煤改电设备坏了一直报警屋里温度上不来。"})
        form = {"csrf": browser.csrf, "base": 2}
        for _ in range(2):
            assert (await browser.client.post(CONFIRM, data=form, headers=JSON)).json() == {"version": 2}
        page = (await browser.get("/review/quality")).text
        assert "vosk · zh_tiny" in page
    with context.database.transaction() as session:
        wrong = select(RecognitionScore.speaker, RecognitionScore.substitutions, RecognitionScore.deletions)
        assert session.execute(wrong).all() == [("caller", 1, 0)]
        before = [tuple(vars(row)[name] for name in ("day", "engine", "characters", "substitutions", "insertions"))
                  for row in session.scalars(select(RecognitionScore))]  # fmt: skip
        repository.forget_scores(session)
        assert replay(session, zone=context.settings.zone) == 1
        after = [tuple(vars(row)[name] for name in ("day", "engine", "characters", "substitutions", "insertions"))
                 for row in session.scalars(select(RecognitionScore))]  # fmt: skip
        assert after == before
    assert [action for _, action, _ in audit(context, "edit", "confirm")] == ["edit", "confirm"]


def add_calls(context: ConsoleContext, count: int) -> None:
    """Calls with a transcript each, some of them emergencies, with shares that repeat."""
    with context.database.transaction() as session:
        now = context.clock.now()
        for index in range(count):
            call_id = f"c{index:04}"
            session.add(Call(id=call_id, started_at=now, ended_at=now, duration_ms=61_000))
            session.flush()
            session.add(
                Transcript(
                    call_id=call_id, version=1, origin="live", engine="vosk", model="m", created_at=now,
                    unsure_share=index % 7 / 20,
                )
            )  # fmt: skip
            session.add(
                Ticket(
                    number=f"YQ20260104{index:06}", lookup_code="0", call_id=call_id, state="to_sign", channel="phone",
                    title=f"诉求 {index}", tier="T1" if index % 10 == 3 else "T3", type="help",
                    created_at=now - timedelta(minutes=index), updated_at=now,
                )
            )  # fmt: skip


async def test_the_queue_shows_every_call_once_in_the_order_of_need(context: ConsoleContext) -> None:
    add_calls(context, 2 * PAGE_SIZE + 5)
    seen: list[str] = []
    path = "/review"
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        while path:
            page = (await browser.get(path)).text
            seen += [part.split('"')[0] for part in page.split('<tr data-number="')[1:]]
            following = re.search('href="([^"]+)" rel="next"', page)
            path = following.group(1).replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 2 * PAGE_SIZE + 6
    with context.database.reading() as session:
        rows = {
            number: (tier != "T1", -share, row_id)
            for number, tier, share, row_id in session.execute(
                select(Ticket.number, Ticket.tier, Transcript.unsure_share, Transcript.id).join(
                    Transcript, Transcript.call_id == Ticket.call_id
                )
            )
        }
    assert seen == sorted(seen, key=rows.__getitem__)


async def test_each_queue_has_what_it_says(context: ConsoleContext) -> None:
    add_calls(context, 10)
    with context.database.transaction() as session:
        session.execute(
            update(Transcript).where(Transcript.call_id == "c0001").values(origin="edit", editor="reviewer")
        )
        session.execute(update(Transcript).where(Transcript.call_id == "c0002").values(origin="edit", editor="admin"))
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        counts = {}
        for queue in ("all", "low", "new", "mine"):
            page = (await browser.get(f"/review?queue={queue}")).text
            counts[queue] = page.count("<tr data-number=")
        assert counts == {"all": 11, "low": 6, "new": 9, "mine": 1}
        assert (await browser.client.get("/review?queue=x", headers=JSON)).status_code == 400
        assert (await browser.client.get("/review?after=1-2", headers=JSON)).status_code == 400


async def test_going_on_skips_the_one_at_hand_and_comes_round(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        assert (await browser.get(f"/review/next?after={NUMBER}")).headers["location"] == "/review?queue=all&done=true"
        assert (await browser.get("/review/next")).headers["location"] == f"{PAGE}?queue=all"
        add_calls(context, 2)
        page = (await browser.get(f"{PAGE}?queue=all")).text
        address = page.split('data-next="')[1].split('"')[0].replace("&amp;", "&")
        assert (await browser.get(address)).headers["location"] == "/tickets/YQ20260104000000?queue=all"


def test_a_place_in_the_queue_is_read_back() -> None:
    place = Place(1, 0.1429, 77)
    assert parse_place(format_place(place)) == place
    assert parse_place("") is None
    for text in ("1", "a-b-c", "1-2-3-4", f"1-2-{2**70}"):
        with pytest.raises(InvalidInputError):
            parse_place(text)
