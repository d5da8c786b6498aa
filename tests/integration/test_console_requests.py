"""The console's pages on a real database of both kinds, with real files in the recording store."""

import asyncio
import base64
import hashlib
import io
import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from console_browser import PASSWORD, add_users, browse, make_context
from console_seed import PHONE, seed_heating_call, seed_many
from docx import Document
from sqlalchemy import select

from console import auth
from console.context import ConsoleContext
from console.export_vcon import content_hash
from console.exports import FORMATS
from console.models import AuditEntry, LoginSession, User
from console.pages.tickets import PAGE_SIZE
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from tickets.models import Ticket

NUMBER = "YQ20260105000011"
PAGE = f"/tickets/{NUMBER}"
AUDIO = "/recordings/c0ffee/audio"


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    with database.transaction() as session:
        seed_heating_call(session, made.store, now=made.clock.now())
    return made


def advance(context: ConsoleContext, **span: float) -> None:
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(timedelta(**span).total_seconds())


def audit(context: ConsoleContext) -> list[tuple[str, str, str, str]]:
    with context.database.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [(entry.username, entry.action, entry.subject, entry.reason) for entry in entries]


def actions(context: ConsoleContext) -> list[str]:
    return [action for _, action, _, _ in audit(context)]


async def test_sign_in_and_out_are_logged_and_only_the_tokens_hash_is_stored(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        assert (await browser.sign_in("admin")).status_code == 303
        token = browser.client.cookies["__Host-hotline"]
        with context.database.reading() as session:
            stored = session.scalars(select(LoginSession.token_hash)).all()
        assert len(stored) == 1
        assert token not in stored
        await browser.post("/logout")
        assert (await browser.get("/tickets")).status_code == 303
        browser.client.cookies.set("__Host-hotline", token, domain="console.test")
        assert (await browser.get("/tickets")).headers["location"] == "/login?next=/tickets"
    assert actions(context) == ["sign_in", "sign_out"]


@pytest.mark.parametrize("username", ["admin", "nobody", "", "x" * 200])
async def test_a_failed_sign_in_looks_the_same_whoever_it_is(context: ConsoleContext, username: str) -> None:
    async with browse(context) as browser:
        response = await browser.sign_in(username, "wrong password")
        assert response.status_code == 401
        assert "用户名或密码不正确，或账号暂时被锁定" in response.text
        assert PASSWORD not in response.text
    assert audit(context) == [(username[:64], "sign_in_failed", "", "")]


async def test_five_failures_lock_the_account_for_a_quarter_of_an_hour(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        for _ in range(5):
            assert (await browser.sign_in("admin", "wrong password")).status_code == 401
        assert (await browser.sign_in("admin")).status_code == 401
        assert (await browser.sign_in("viewer")).status_code == 303
        advance(context, minutes=14.9)
        assert (await browser.sign_in("admin")).status_code == 401
        advance(context, minutes=0.2)
        assert (await browser.sign_in("admin", "wrong password")).status_code == 401
        assert (await browser.sign_in("admin")).status_code == 303


async def test_guesses_at_the_same_time_are_all_counted(
    context: ConsoleContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_CHECK_WAIT_S", 60.0)  # on a busy machine a password takes its time
    async with browse(context) as browser:
        await browser.get("/login")
        guesses = (browser.post("/login", username="admin", password=f"guess {n}") for n in range(5))
        answers = await asyncio.gather(*guesses)
        assert {answer.status_code for answer in answers} == {401}
        assert (await browser.sign_in("admin")).status_code == 401
    assert actions(context) == ["sign_in_failed"] * 6


async def test_the_right_password_forgives_earlier_failures(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        for _ in range(3):
            for _ in range(4):
                await browser.sign_in("admin", "wrong password")
            assert (await browser.sign_in("admin")).status_code == 303


async def test_a_sign_in_ends_after_its_hours(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        advance(context, hours=9.9)
        assert (await browser.get("/tickets")).status_code == 200
        advance(context, hours=0.2)
        assert (await browser.get("/tickets")).status_code == 303
        await browser.sign_in("viewer")
    with context.database.reading() as session:
        assert len(session.scalars(select(LoginSession)).all()) == 1, "the expired one was not purged"


async def test_a_disabled_account_is_out_at_once(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        with context.database.transaction() as session:
            session.scalars(select(User).where(User.username == "viewer")).one().disabled = True
        assert (await browser.get("/tickets")).status_code == 303
        assert (await browser.sign_in("viewer")).status_code == 401


async def test_the_list_shows_the_newest_first_masked_and_page_by_page(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        seed_many(session, count=2 * PAGE_SIZE + 3, now=context.clock.now())
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        path, seen, pages = "/tickets", [], 0
        while path:
            text = (await browser.get(path)).text
            assert "138****8000" in text or pages
            assert not re.search(r"\b1\d{10}\b", text), "a whole mobile number"
            seen += re.findall(r'<tr data-number="(\w+)"', text)
            following = re.search(r'href="(/tickets\?[^"]+)" rel="next"', text)
            path, pages = following.group(1).replace("&amp;", "&") if following else "", pages + 1
        assert seen == [NUMBER, *(f"YQ20260104{n:06}" for n in range(2 * PAGE_SIZE + 3))]
        assert pages == 3


async def test_tickets_of_the_same_moment_are_neither_lost_nor_shown_twice(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        seed_many(session, count=PAGE_SIZE + 5, now=context.clock.now())
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        with context.database.transaction() as session:
            for ticket in session.scalars(select(Ticket)):
                ticket.created_at = context.clock.now()
        first = (await browser.get("/tickets")).text
        following = re.search(r'href="(/tickets\?[^"]+)" rel="next"', first)
        assert following
        second = (await browser.get(following.group(1))).text
        numbers = re.findall(r'<tr data-number="(\w+)"', first + second)
        assert len(numbers) == len(set(numbers)) == PAGE_SIZE + 6


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=to_dispatch", 1),
        ("state=closed", 1),
        ("category=供暖", 1),
        ("category=供暖/煤改电设备", 1),
        ("category=供", 0),
        ("q=yq20260105", 1),
        ("q=煤改电", 1),
        ("q=儒林街道", 1),
        ("q=100%25", 0),
        ("q=_", 0),
        ("q=儒林街道&state=closed", 0),
        ("q=' OR 1=1 --", 0),
        (f"q={PHONE}", 0),
        ("q=幺三八", 0),
        ("q=0013", 0),
    ],
)
async def test_filters_narrow_the_list(context: ConsoleContext, query: str, found: int) -> None:
    with context.database.transaction() as session:
        seed_many(session, count=5, now=context.clock.now())
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        text = (await browser.get(f"/tickets?{query}")).text
        assert len(re.findall(r"<tr data-number=", text)) == found
        assert ("没有符合条件的工单" in text) == (found == 0)


async def test_only_who_may_see_numbers_may_search_by_a_whole_one(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        assert NUMBER in (await browser.get(f"/tickets?q={PHONE}")).text
        assert NUMBER not in (await browser.get(f"/tickets?q={PHONE[:7]}")).text


async def test_a_site_without_tickets_says_so(settings: Settings, database: Database) -> None:
    context = make_context(settings, database)
    add_users(context)
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        assert "还没有工单" in (await browser.get("/tickets")).text
        assert (await browser.get("/tickets/YQ20260105999999")).status_code == 404


@pytest.mark.parametrize("cursor", ["abc", "12", "1-x", "9" * 40 + "-1", "-1", "1-" + "9" * 30, f"1-{2**63}", "1--1"])
async def test_a_damaged_cursor_is_a_clear_error(context: ConsoleContext, cursor: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        response = await browser.get(f"/tickets?after={cursor}")
        assert response.status_code == 400
        assert "翻页位置无效" in response.text


async def test_the_ticket_page_shows_facts_evidence_and_transcript(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        text = (await browser.get(PAGE)).text
        for shown in ("张山营镇", "供暖 / 煤改电设备", "T2 民生急需", "煤改电维修时限", "138****8000", "“张山营镇”"):
            assert shown in text
        assert "通话质量 4.3" in text
        assert PHONE not in text
        assert "下载录音" not in text, "only administrators download"
        assert re.search(r'data-seek="\d+" data-seek-end="\d+"', text)
        words = re.findall(r'<span class="word[^"]*" data-start="(\d+)" data-end="(\d+)"', text)
        assert len(words) > 60
        assert all(int(start) <= int(end) for start, end in words)


async def test_a_viewer_reads_but_neither_hears_nor_unmasks(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        text = (await browser.get(PAGE)).text
        assert "您的角色不能收听录音" in text
        assert "data-audio" not in text
        assert "显示完整号码" not in text
        assert PHONE not in text
        for path in (AUDIO, "/recordings/c0ffee/peaks", "/audit"):
            assert (await browser.get(path)).status_code == 403, path
        assert (await browser.post(f"{PAGE}/unmask", reason="好奇")).status_code == 403
        assert (await browser.post("/recordings/c0ffee/download")).status_code == 403
    assert actions(context) == ["sign_in"]


async def test_full_numbers_need_a_reason_are_logged_and_last_ten_minutes(context: ConsoleContext) -> None:
    async with browse(context) as browser, browse(context) as other:
        await browser.sign_in("reviewer")
        await other.sign_in("admin")
        assert (await browser.post(f"{PAGE}/unmask", reason=" ")).status_code == 400
        assert PHONE not in (await browser.get(PAGE)).text
        assert (await browser.post(f"{PAGE}/unmask", reason="回访时核对电话")).headers["location"] == PAGE
        text = (await browser.get(PAGE)).text
        assert PHONE in text
        assert PHONE + "。" in re.sub(r"<[^>]+>", "", text), "the transcript is unmasked, too"
        assert PHONE not in (await browser.get("/tickets")).text
        assert PHONE not in (await other.get(PAGE)).text, "a reason counts for the one who gave it"
        advance(context, minutes=10.1)
        assert PHONE not in (await browser.get(PAGE)).text
        assert (await browser.post("/tickets/YQ1/unmask", reason="没有这个工单")).status_code == 404
    assert [entry for entry in audit(context) if entry[1] == "unmask"] == [
        ("reviewer", "unmask", NUMBER, "回访时核对电话")
    ]


async def test_audio_comes_in_exact_ranges(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        whole = await browser.get(AUDIO)
        size = len(whole.content)
        assert whole.status_code == 200
        assert whole.headers["content-type"] == "audio/wav"
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.content[:4] == b"RIFF"
        part = await browser.get(AUDIO, range="bytes=1000-70999")
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes 1000-70999/{size}"
        assert part.content == whole.content[1000:71000]
        assert (await browser.get(AUDIO, range="bytes=-44")).content == whole.content[-44:]
        beyond = await browser.get(AUDIO, range=f"bytes={size}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        tag = whole.headers["etag"]
        assert (await browser.get(AUDIO, range="bytes=0-9", if_range=tag)).status_code == 206
        assert (await browser.get(AUDIO, range="bytes=0-9", if_range='"other"')).status_code == 200


async def test_a_hearing_is_logged_once_however_many_ranges_it_takes(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await browser.get(PAGE)
        await browser.get("/recordings/c0ffee/peaks")
        assert "hear" not in actions(context), "looking at the page is not hearing"
        for start in range(5):
            await browser.get(AUDIO, range=f"bytes={start}-")
        assert actions(context).count("hear") == 1
        advance(context, minutes=31)
        await browser.get(AUDIO)
        assert actions(context).count("hear") == 2
    assert ("reviewer", "hear", "c0ffee", "") in audit(context)


async def test_the_first_ranges_asked_for_at_once_are_one_hearing(settings: Settings) -> None:
    database = Database(settings.effective_database_url())
    database.migrate()
    context = make_context(settings, database)
    add_users(context)
    with database.transaction() as session:
        seed_heating_call(session, context.store, now=context.clock.now())
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await asyncio.gather(*(browser.get(AUDIO, range=f"bytes={n}-99") for n in range(8)))
    assert actions(context).count("hear") == 1
    database.close()


async def test_a_download_is_named_after_the_ticket_and_logged_each_time(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        await browser.get(PAGE)
        for _ in range(2):
            response = await browser.post("/recordings/c0ffee/download")
            assert response.headers["content-disposition"] == f'attachment; filename="{NUMBER}.wav"'
            assert response.content[:4] == b"RIFF"
    assert actions(context).count("download") == 2


async def test_peaks_are_the_recording_engineers_json(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        peaks = (await browser.get("/recordings/c0ffee/peaks")).json()
        assert peaks["rate"] > 0
        assert len(peaks["channels"]) == 2
        assert len(peaks["channels"][0]) == len(peaks["channels"][1]) > 100


async def test_a_missing_file_is_a_404_and_a_missing_recording_a_notice(context: ConsoleContext) -> None:
    context.store.delete("2026/01/05/c0ffee.wav")
    async with browse(context) as browser:
        await browser.sign_in("admin")
        assert (await browser.get(AUDIO)).status_code == 404
        assert (await browser.get(PAGE)).status_code == 200
        assert (await browser.get("/recordings/nothing/audio")).status_code == 404
        with context.database.transaction() as session:
            seed_heating_call(
                session, None, now=context.clock.now(), call_id="beef", recorded=False, number="YQ20260105000029"
            )
        text = (await browser.get("/tickets/YQ20260105000029")).text
        assert "这通电话没有录音" in text
        assert "张山营镇" in text


async def test_the_audit_log_is_for_administrators_newest_first(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("nobody", "wrong password")
        await browser.sign_in("admin")
        text = (await browser.get("/audit")).text
        assert text.index("登录失败") > text.index('<span class="badge ">登录</span>')
        assert "127.0.0.1" in text


async def test_what_a_caller_said_is_never_markup(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        ticket.title = ticket.content = ticket.caller_name = ticket.place = "<script>alert(1)</script>\"'><img src=x>"
    async with browse(context) as browser:
        await browser.sign_in("admin")
        for path in ("/tickets", PAGE, "/tickets?q=<script>alert(1)</script>"):
            text = (await browser.get(path)).text
            assert "<script>alert" not in text
            assert "<img" not in text


@pytest.mark.parametrize(
    "path", ["/tickets?q=%00", "/tickets?state=%00", "/tickets/%00", "/recordings/%00/audio", "/tickets?q=%ff%fe"]
)
async def test_text_that_no_database_holds_is_no_server_error(context: ConsoleContext, path: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        assert (await browser.get(path)).status_code in (200, 400, 404)


async def test_odd_bytes_in_the_sign_in_form_are_no_server_error(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.get("/login")
        for name in (b"%00", b"%ff%fe", b"%ed%a0%80"):
            body = b"csrf=" + browser.csrf.encode() + b"&username=a" + name + b"&password=" + name
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = await browser.client.post("/login", content=body, headers=headers)
            assert response.status_code in (400, 401), name


async def test_a_transcript_is_exported_as_it_is_shown_and_each_time_is_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        assert (await browser.get(f"{PAGE}/transcript.txt")).headers["location"].startswith("/login")
        await browser.sign_in("reviewer")
        masked = await browser.get(f"{PAGE}/transcript.txt")
        assert masked.headers["content-disposition"] == f'attachment; filename="{NUMBER}.txt"'
        assert masked.headers["content-type"] == "text/plain; charset=utf-8"
        assert "号码已隐去" in masked.text
        assert PHONE not in masked.text
        await browser.post(f"{PAGE}/unmask", reason="回访核对")
        full = await browser.get(f"{PAGE}/transcript.json")
        assert PHONE in full.text
        assert full.json()["masked"] is False
        assert (await browser.get(f"{PAGE}/transcript.txt?fillers=hide")).status_code == 200
        assert (await browser.get(f"{PAGE}/transcript.txt?fillers=some")).status_code == 400
        assert (await browser.get(f"{PAGE}/transcript.exe")).status_code == 404
        assert (await browser.get("/tickets/YQ20260105999999/transcript.txt")).status_code == 404
    exported = [(who, subject, reason) for who, action, subject, reason in audit(context) if action == "export"]
    without = ("reviewer", NUMBER, "txt，号码完整，不含语气词")
    assert exported == [("reviewer", NUMBER, "txt，号码已隐去"), ("reviewer", NUMBER, "json，号码完整"), without]


async def test_every_format_is_linked_and_masks_numbers(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        page = (await browser.get(PAGE)).text
        for ending in FORMATS:
            assert f"{PAGE}/transcript.{ending}" in page
            response = await browser.get(f"{PAGE}/transcript.{ending}")
            assert response.status_code == 200, ending
            assert response.headers["content-disposition"] == f'attachment; filename="{NUMBER}.{ending}"'
            if ending != "docx":
                assert PHONE not in response.text
        assert "audio=inline" not in page
        document = Document(io.BytesIO((await browser.get(f"{PAGE}/transcript.docx")).content))
        told = "".join(cell.text for table in document.tables for cell in table._cells)
        assert "138****8000" in told
        assert PHONE not in told


def decoded(response: httpx.Response) -> bytes:
    """The recording in a vCon."""
    (dialog,) = response.json()["dialog"]
    body: str = dialog["body"]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))


async def test_a_vcon_names_the_recording_by_the_hash_of_what_its_reader_hears(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        (dialog,) = (await browser.get(f"{PAGE}/transcript.vcon")).json()["dialog"]
        heard = (await browser.get(AUDIO)).content
    assert dialog["url"] == f"https://console.test{AUDIO}"
    assert dialog["content_hash"] == content_hash(hashlib.sha512(heard).digest())


async def test_a_recording_goes_along_with_the_right_only_and_as_it_is_heard(context: ConsoleContext) -> None:
    inline = f"{PAGE}/transcript.vcon?audio=inline"
    async with browse(context) as browser:
        await browser.sign_in("admin")
        assert inline in (await browser.get(PAGE)).text
        assert decoded(await browser.get(inline)) == (await browser.get(AUDIO)).content
        await browser.post(f"{PAGE}/unmask", reason="移交办理")
        with context.store.open("2026/01/05/c0ffee.wav") as file:
            assert decoded(await browser.get(inline)) == file.read()
        assert (await browser.get(f"{PAGE}/transcript.txt?audio=inline")).status_code == 400
        assert (await browser.get(f"{PAGE}/transcript.vcon?audio=all")).status_code == 400
    assert [entry for entry in audit(context) if entry[1] in ("export", "download")] == [
        ("admin", "export", NUMBER, "vcon，号码已隐去，含录音"),
        ("admin", "download", "c0ffee", "vcon，号码已遮盖"),
        ("admin", "export", NUMBER, "vcon，号码完整，含录音"),
        ("admin", "download", "c0ffee", "vcon，号码完整"),
    ]
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await browser.post(f"{PAGE}/unmask", reason="移交办理")
        assert (await browser.get(inline)).status_code == 403


async def test_a_long_recording_does_not_go_along(context: ConsoleContext) -> None:
    console = context.settings.console.model_copy(update={"inline_audio_bytes": 1000})
    bounded = replace(context, settings=context.settings.model_copy(update={"console": console}))
    async with browse(bounded) as browser:
        await browser.sign_in("admin")
        await browser.post(f"{PAGE}/unmask", reason="移交办理")
        response = await browser.get(f"{PAGE}/transcript.vcon?audio=inline")
        assert response.status_code == 400
        assert "不能放进文件" in response.text
        assert (await browser.get(f"{PAGE}/transcript.vcon")).status_code == 200
    assert [entry[1] for entry in audit(context)].count("download") == 0
