"""Photos on the ticket page, the page for phones, and links of crews: who may what, and what is never told."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from attachment_files import docx, film, photo
from console_browser import PAGE, Browser, add_users, browse, make_context, password_hash
from console_seed import PHONE
from sqlalchemy import select
from ticket_people import NUMBER, TOWN, Counter, add_ticket, seed_units

from console.context import ConsoleContext
from console.models import AuditEntry, User
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from tickets.attachments.models import Attachment, FieldLink
from tickets.commands import load_desk
from tickets.lifecycle import Command
from tickets.models import TicketEvent

JSON = {"Accept": "application/json"}


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    context = make_context(settings, database)
    add_users(context)
    people = (("ban", "unit_handler", TOWN), ("other", "unit_handler", "cgw"), ("pai", "dispatcher", ""))
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
        for username, role, unit in people:
            account = {"display_name": username, "role": role, "unit": unit, "created_at": context.clock.now()}
            session.add(User(username=username, password_hash=password_hash(), **account))
    return context


@pytest.fixture
def counter(context: ConsoleContext) -> Counter:
    counter = Counter(context.database, load_desk(context.settings))
    counter.give(Command.DISPATCH, Command.SIGN_IN)
    return counter


@pytest.fixture
async def browser(context: ConsoleContext, counter: Counter) -> AsyncIterator[Browser]:
    async with browse(context) as browser:
        await browser.sign_in("ban")
        yield browser


async def send(browser: Browser, path: str, data: bytes, name: str = "IMG.jpg", **form: str) -> httpx.Response:
    files = {"file": (name, data, "text/html")}
    return await browser.client.post(path, data={"csrf": browser.csrf, **form}, files=files, headers=JSON)


async def make_link(browser: Browser, **form: str) -> str:
    """The path of a new link."""
    await browser.get(f"/tickets/{NUMBER}")
    response = await browser.post(f"/tickets/{NUMBER}/links", **{"crew": "王师傅", **form})
    assert response.status_code == 200, response.text
    found = re.search(r"https://console\.test(/f/[\w-]+)", response.text)
    assert found
    assert "<svg" in response.text
    return found[1]


def audited(context: ConsoleContext) -> list[tuple[str, str, str]]:
    with context.database.reading() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.username, row.action, row.subject) for row in rows if not row.action.startswith("sign_")]


def kinds(context: ConsoleContext) -> list[str]:
    with context.database.reading() as session:
        return list(session.scalars(select(TicketEvent.kind).order_by(TicketEvent.sequence)))


async def test_a_photo_is_seen_as_a_copy_and_its_original_is_for_few(browser: Browser, context: ConsoleContext) -> None:
    await browser.get(f"/tickets/{NUMBER}")
    data = photo(2000, 1500)
    answer = await send(browser, f"/tickets/{NUMBER}/attachments", data, "a<b>.html", purpose="before")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": 1, "name": "ab.jpg", "repeated": False}
    assert (await send(browser, f"/tickets/{NUMBER}/attachments", data)).json()["repeated"]
    page = (await browser.get(f"/tickets/{NUMBER}")).text
    assert "现场照片与附件" in page
    assert "/attachments/1/thumbnail" in page
    assert "40.456" not in page
    for size in ("thumbnail", "shown", "shown"):
        copy = await browser.get(f"/attachments/1/{size}")
        assert copy.headers["content-type"] == "image/jpeg"
        assert copy.headers["content-security-policy"].startswith("sandbox")
        assert copy.headers["x-content-type-options"] == "nosniff"
        assert b"Exif" not in copy.content
    assert (await browser.post("/attachments/1/original")).status_code == 403
    assert (await browser.get("/attachments/1/file/content")).status_code == 404  # only its copies
    await browser.post(f"/tickets/{NUMBER}/unmask", reason="核对现场位置")
    assert "40.45661, 115.97490" in (await browser.get(f"/tickets/{NUMBER}")).text
    async with browse(context) as admin:
        await admin.sign_in("admin")
        original = await admin.post("/attachments/1/original")
        assert original.content == data
        assert original.headers["content-disposition"].startswith(f'attachment; filename="{NUMBER}-1.jpg"')
    assert audited(context) == [
        ("ban", "see_photo", f"{NUMBER} #1"),
        ("ban", "unmask", NUMBER),
        ("admin", "download_original", f"{NUMBER} #1"),
    ]


async def test_documents_and_videos_are_opened_as_files_without_a_place(
    browser: Browser, context: ConsoleContext
) -> None:
    await browser.get(f"/tickets/{NUMBER}")
    await send(browser, f"/tickets/{NUMBER}/attachments", docx(), "发票.docx")
    await send(browser, f"/tickets/{NUMBER}/attachments", film(b"isom", rest=b"\xa9xyz+40.4566+115.9749/"), "v.mp4")
    for attachment_id in (1, 2):
        answer = await browser.get(f"/attachments/{attachment_id}/file/content")
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert b"40.4566" not in answer.content
    assert [action for _, action, _ in audited(context)] == ["open_file", "open_file"]


async def test_hostile_files_are_refused_and_leave_nothing(browser: Browser, context: ConsoleContext) -> None:
    await browser.get(f"/tickets/{NUMBER}")
    for data in (b"<svg onload=alert(1)>", b"MZ\x90\x00", photo()[:300], b""):
        answer = await send(browser, f"/tickets/{NUMBER}/attachments", data)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]
    with context.database.reading() as session:
        assert session.scalars(select(Attachment)).all() == []
    assert context.store.names("attachments") == []


async def test_people_of_another_unit_find_nothing(browser: Browser, context: ConsoleContext) -> None:
    await browser.get(f"/tickets/{NUMBER}")
    await send(browser, f"/tickets/{NUMBER}/attachments", photo())
    async with browse(context) as stranger:
        await stranger.sign_in("other")
        for path in ("/attachments/1/shown", "/attachments/1/thumbnail", f"/field/{NUMBER}", "/attachments/9/shown"):
            assert (await stranger.get(path)).status_code == 404, path
        assert (await send(stranger, f"/tickets/{NUMBER}/attachments", photo())).status_code == 404
        assert (await stranger.post(f"/tickets/{NUMBER}/links", crew="x")).status_code == 404


async def test_a_person_works_from_the_phone_page_and_a_repeated_key_does_it_once(
    browser: Browser, context: ConsoleContext, counter: Counter
) -> None:
    page = await browser.get(f"/field/{NUMBER}")
    assert page.headers["permissions-policy"] == "camera=(), geolocation=(self), microphone=()"
    assert "blob:" in page.headers["content-security-policy"]
    assert PHONE not in page.text
    base = f"/field/{NUMBER}"
    for key in ("k1", "k1"):
        answer = await browser.post(f"{base}/commands/arrive", key=key, latitude="40.45", longitude="115.97")
        assert answer.status_code == 303
    wrong = await browser.post(f"{base}/commands/arrive", latitude="north")
    assert wrong.status_code == 400
    await browser.post(f"{base}/commands/contact", method="phone", reached="true", key="k2")
    assert (await browser.client.post(f"{base}/call", data={"csrf": browser.csrf})).json() == {"phone": PHONE}
    await browser.post(f"{base}/commands/submit", result="已修好", fee_cents="85.5", key="k3")
    ticket = counter.ticket()
    assert (ticket.state, ticket.result, ticket.fee_cents) == ("to_review", "已修好", 8550)
    arrivals = [event for event in ticket.events if event.kind == "arrive"]
    assert [(event.data["latitude"], event.actor) for event in arrivals] == [(40.45, "ban")]
    assert ("ban", "call_caller", NUMBER) in audited(context)


async def test_a_link_is_shown_once_and_stored_as_a_hash(browser: Browser, context: ConsoleContext) -> None:
    path = await make_link(browser)
    token = path.rpartition("/")[2]
    page = (await browser.get(f"/tickets/{NUMBER}")).text
    assert token not in page
    assert "王师傅" in page
    with context.database.reading() as session:
        (link,) = session.scalars(select(FieldLink))
        assert token not in {link.token_hash, link.device_hash}
        assert token not in str([event.data for event in session.scalars(select(TicketEvent))])


async def test_a_link_is_opened_by_a_button_and_belongs_to_that_browser(
    browser: Browser, context: ConsoleContext
) -> None:
    path = await make_link(browser)
    async with browse(context) as preview, browse(context) as crew, browse(context) as other:
        assert "在这台手机上打开" in (await preview.get(path)).text  # a messenger's preview takes nothing away
        await crew.get(path)
        assert (await crew.post(f"{path}/open")).headers["location"] == path
        page = await crew.get(path)
        assert "已到场" in page.text
        assert "提交结果" not in page.text
        assert PHONE not in page.text
        await other.get("/login")
        for answer in (
            await other.get(path),
            await other.post(f"{path}/open"),
            await other.post(f"{path}/commands/arrive"),
            await send(other, f"{path}/files", photo()),
        ):
            assert answer.status_code == 403
            assert "另一台手机" in answer.text
        assert (await crew.get(path)).status_code == 200
    assert kinds(context).count("link_opened") == 1


async def test_a_crew_does_what_it_may_on_its_ticket_alone(
    browser: Browser, context: ConsoleContext, counter: Counter
) -> None:
    path = await make_link(browser)
    async with browse(context) as crew:
        await crew.get(path)
        await crew.post(f"{path}/open")
        await crew.get(path)
        for command, form in (
            ("contact", {"method": "phone", "reached": "true"}),
            ("arrive", {}),
            ("record", {"measures": "更换主板", "result": "已修好", "fee_cents": "85"}),
        ):
            assert (await crew.post(f"{path}/commands/{command}", **form)).status_code == 303, command
        assert (await send(crew, f"{path}/files", photo(), purpose="after")).status_code == 200
        assert (await crew.get(f"{path}/pictures/1/thumbnail")).status_code == 200
        for command in ("submit", "note", "dispatch", "sign_in", "edit"):
            answer = await crew.post(f"{path}/commands/{command}", result="x", text="x")
            assert answer.status_code in (403, 404, 409), command
        assert (await crew.post(f"{path}/call")).status_code == 403
        assert (await crew.get(f"/tickets/{NUMBER}")).headers["location"].startswith("/login")
    ticket = counter.ticket()
    assert (ticket.state, ticket.measures, ticket.fee_cents) == ("handling", "更换主板", 8500)
    assert {event.actor for event in ticket.events[-4:]} == {"link:1"}
    assert "维修人员（链接 1）" in (await browser.get(f"/tickets/{NUMBER}")).text


async def opens(context: ConsoleContext, path: str) -> int:
    async with browse(context) as crew:
        return (await crew.get(path)).status_code


async def test_a_link_ends_by_hand_by_time_and_with_what_is_handed_in(
    browser: Browser, context: ConsoleContext, counter: Counter
) -> None:
    first, second = await make_link(browser), await make_link(browser, crew="李师傅")
    assert await opens(context, first) == 200
    await browser.post(f"/tickets/{NUMBER}/links/1/revoke")
    assert (await opens(context, first), await opens(context, second)) == (404, 200)
    counter.give(Command.SUBMIT)
    assert await opens(context, second) == 404
    counter.give(Command.SEND_BACK)
    assert await opens(context, second) == 404  # what was handed in ended it
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(3600)
    third = await make_link(browser)
    assert await opens(context, third) == 200
    context.clock.advance(72 * 3600)
    assert await opens(context, third) == 404


async def test_who_guesses_links_has_to_wait(context: ConsoleContext, counter: Counter) -> None:
    async with browse(context) as stranger:
        answers = [(await stranger.get(f"/f/guess{number}")).status_code for number in range(12)]
    assert answers == [404] * 10 + [429] * 2


async def test_only_those_who_work_on_it_or_send_it_make_links(context: ConsoleContext, counter: Counter) -> None:
    for name, status in (("viewer", 403), ("reviewer", 403), ("pai", 200)):
        async with browse(context) as somebody:
            await somebody.sign_in(name)
            answer = await somebody.post(f"/tickets/{NUMBER}/links", crew="王师傅")
            assert answer.status_code == status, name
            assert (await somebody.post(f"/tickets/{NUMBER}/links", crew=" ")).status_code in (400, 403)


async def test_no_answer_tells_the_referrer(browser: Browser) -> None:
    answer = await browser.client.get(await make_link(browser), headers=PAGE)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
