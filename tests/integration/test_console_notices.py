"""The console's page of notices and webhooks."""

from datetime import timedelta

import pytest
from console_browser import add_users, browse, make_context
from console_seed import seed_heating_call
from sqlalchemy import select

from console.context import ConsoleContext
from console.models import AuditEntry, User
from console.pages.notices import PAGE_SIZE
from hotline.db import Database
from hotline.settings import Settings
from tickets.notices.models import Notice, WebhookDelivery, WebhookSubscription

NUMBER = "YQ20260105000011"


def notice(context: ConsoleContext, number: int, *, state: str = "failed", text: str = "您的诉求已受理") -> Notice:
    now = context.clock.now()
    return Notice(
        key=f"k{number}",
        ticket=NUMBER,
        state=state,
        due_at=now,
        expires_at=now + timedelta(days=1),
        attempts=3,
        error="网关拒绝：code=17" if state == "failed" else "",
        created_at=now,
        settled_at=now,
        kind="received",
        edition="2026-11",
        channel="sms",
        recipient="13800138000" if text else "",
        text=text,
        values={},
    )


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    now = made.clock.now()
    with database.transaction() as session:
        seed_heating_call(session, None, now=now)
        session.scalars(select(User).where(User.username == "reviewer")).one().role = "supervisor"
        session.add_all([notice(made, 1), notice(made, 2, state="sent"), notice(made, 3, text="")])
        session.add(
            WebhookSubscription(
                id=1,
                name="网格<平台>",
                url="https://grid.example.cn/hook?token=geheim",
                events=["ticket.closed"],
                personal=True,
                key_id="1",
                salt="00",
                created_at=now,
                created_by="x",
                failing_since=now,
            )
        )
        session.flush()
        session.add(
            WebhookDelivery(
                key="d",
                state="failed",
                due_at=now,
                expires_at=now,
                created_at=now,
                error="对方没有接受：400",
                subscription_id=1,
                event="ticket.closed",
                body="{}",
            )
        )
    return made


def states(context: ConsoleContext, model: type[Notice] | type[WebhookDelivery]) -> list[str]:
    with context.database.reading() as session:
        return list(session.scalars(select(model.state).order_by(model.id)))


async def test_failures_are_shown_without_addresses_or_secrets_of_addresses(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        page = (await browser.get("/notices")).text
        assert "138****8000" in page
        assert "13800138000" not in page
        assert "网关拒绝：code=17" in page
        assert "grid.example.cn" in page
        assert "geheim" not in page
        assert "网格&lt;平台&gt;" in page
        assert 'href="/notices" aria-current="page"' in page
        assert page.count('aria-label="重发诉求已受理"') == 1  # of the other the text is forgotten
        assert "已清除" in page
        sent = (await browser.get("/notices?show=sent")).text
        assert "重发诉求已受理" not in sent
        assert (await browser.get("/notices?show=nonsense")).status_code == 200


async def test_a_supervisor_has_a_notice_and_an_event_sent_again_and_that_is_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        await browser.get("/notices")
        answer = await browser.post("/notices/1/retry")
        assert (answer.status_code, answer.headers["location"]) == (303, "/notices")
        assert states(context, Notice) == ["queued", "sent", "failed"]
        assert (await browser.post("/webhook-deliveries/1/retry")).status_code == 303
        assert states(context, WebhookDelivery) == ["queued"]
        assert (await browser.post("/notices/2/retry")).status_code == 409
        assert (await browser.post("/notices/3/retry")).status_code == 409
        assert (await browser.post("/notices/99/retry")).status_code == 404
        assert (await browser.post("/notices/x/retry")).status_code == 400
    with context.database.reading() as session:
        logged = session.execute(
            select(AuditEntry.username, AuditEntry.action, AuditEntry.subject).where(AuditEntry.action.like("retry%"))
        ).all()
    assert [tuple(entry) for entry in logged] == [
        ("reviewer", "retry_notice", "1"),
        ("reviewer", "retry_webhook", "1"),
    ]


async def test_others_may_not_look_and_nobody_sends_without_a_token(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        assert (await browser.get("/notices")).status_code == 403
        assert (await browser.post("/notices/1/retry")).status_code == 403
        assert 'href="/notices"' not in (await browser.get("/tickets")).text
    async with browse(context) as browser:
        await browser.sign_in("admin")
        browser.csrf = "00"
        assert (await browser.post("/notices/1/retry")).status_code == 403
    assert states(context, Notice) == ["failed", "sent", "failed"]


async def test_older_notices_are_on_the_next_page(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        session.add_all(notice(context, 100 + number) for number in range(PAGE_SIZE))
    async with browse(context) as browser:
        await browser.sign_in("admin")
        first = (await browser.get("/notices")).text
        address = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
        second = (await browser.get(address)).text
    assert first.count("138****8000") == PAGE_SIZE
    assert second.count("138****8000") == 1
    assert 'rel="next"' not in second


async def test_an_empty_page_says_so(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        assert "没有这样的通知" in (await browser.get("/notices?show=withheld")).text
