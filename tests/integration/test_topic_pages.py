"""The pages of topics and knowledge, as people read them."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from console_browser import Browser, add_users, browse, make_context
from sqlalchemy import select

from console.charts import spark_line
from console.context import ConsoleContext
from demo.matters import complain
from hotline.db import Database
from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT, TopicSettings
from tickets.duplicate_jobs import suggest
from tickets.knowledge import Snippet, load_snippets
from tickets.knowledge_repository import import_snippets
from tickets.models import Ticket
from tickets.topic_jobs import refresh_topics


@pytest.fixture
def context(settings: Settings, migrated_sqlite_file: Path, tmp_path: Path) -> ConsoleContext:
    path = tmp_path / "hotline.db"
    path.write_bytes(migrated_sqlite_file.read_bytes())
    changed = settings.model_copy(update={"topics": TopicSettings(at_least=5)})
    made = make_context(changed, Database(f"sqlite:///{path}"))
    add_users(made)
    return made


@pytest.fixture
async def viewer(context: ConsoleContext) -> AsyncIterator[Browser]:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        yield browser
    context.database.close()


def find(context: ConsoleContext, *, confidential: bool = False) -> None:
    chance, now = random.Random(1), context.clock.now()
    with context.database.transaction() as session:
        for number in range(150):
            made = complain(chance, 17 if number < 50 else None)
            at = now - timedelta(days=chance.uniform(0.1, 6 if number < 50 else 30))
            session.add(
                Ticket(
                    number=f"YQ{number:014}",
                    lookup_code="000000",
                    state="closed",
                    channel="phone",
                    title=f"<b>{made.text[:20]}",
                    content=made.text,
                    category=made.category,
                    place=made.town,
                    created_at=at,
                    updated_at=at,
                )
            )
    refresh_topics(context.database, settings=context.settings, now=now)


def fill(context: ConsoleContext) -> None:
    now = context.clock.now()
    today = now.date()
    old = Snippet(code="旧1", title="去年的取暖补贴", body="按户发放", valid_to=today - timedelta(days=3))
    soon = Snippet(code="SOON", title="限行安排", body="单双号", valid_to=today + timedelta(days=3))
    examples = load_snippets(PACKAGE_ROOT / "tickets/data/examples/knowledge.yaml").snippets
    with context.database.transaction() as session:
        import_snippets(session, [*examples, old, soon], actor="管理员", now=now)


async def test_empty_pages_say_what_will_be_there(viewer: Browser) -> None:
    assert "还没有热点" in (await viewer.get("/topics")).text
    assert "知识库是空的" in (await viewer.get("/knowledge")).text


async def test_topics_are_listed_with_growth_places_and_examples(context: ConsoleContext, viewer: Browser) -> None:
    find(context)
    page = (await viewer.get("/topics")).text
    assert "路灯" in page
    assert "增长" in page
    assert "<polyline" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    rising = (await viewer.get("/topics?kind=rising")).text
    assert rising.count('class="card topic"') <= page.count('class="card topic"')
    assert "没有符合条件的热点" in (await viewer.get("/topics?kind=monthly")).text


async def test_a_topic_has_a_page_and_an_unknown_one_none(context: ConsoleContext, viewer: Browser) -> None:
    find(context)
    assert "典型工单" in (await viewer.get("/topics/1")).text
    for address in ("/topics/4711", f"/topics/{2**40}"):
        assert (await viewer.get(address)).status_code == 404


async def test_knowledge_is_searched_by_what_callers_say(context: ConsoleContext, viewer: Browser) -> None:
    fill(context)
    page = (await viewer.get("/knowledge")).text
    assert "供暖不热的登记要点" in page
    assert "开场白与结束语" in page
    assert "领导接听" in page
    found = (await viewer.get("/knowledge?q=我家暖气不热")).text
    assert found.index("供暖不热的登记要点") < found.index("</ul>")
    assert "消费纠纷" not in found[found.index("<form class") :].split("</form>")[1]
    assert "没有符合条件的知识" in (await viewer.get("/knowledge?q=zzzz")).text


@pytest.mark.parametrize(("state", "there", "absent"), [("expiring", "SOON", "JS-001"), ("ended", "旧1", "SOON")])
async def test_knowledge_is_filtered_by_validity(
    context: ConsoleContext, viewer: Browser, state: str, there: str, absent: str
) -> None:
    fill(context)
    page = (await viewer.get(f"/knowledge?state={state}")).text
    assert there in page
    assert absent not in page


async def test_a_snippet_shows_its_versions(context: ConsoleContext, viewer: Browser) -> None:
    fill(context)
    with context.database.transaction() as session:
        changed = Snippet(code="SOON", title="限行安排", body="按尾号")
        import_snippets(session, [changed], actor="b", now=context.clock.now())
    page = (await viewer.get("/knowledge/SOON")).text
    assert "按尾号" in page
    assert "第 1 版" in page
    assert "单双号" in page
    assert (await viewer.get("/knowledge/none")).status_code == 404


def test_a_spark_line_stays_in_its_box() -> None:
    for values in ([], [0], [0, 0, 0], [5, 1, 1000]):
        for point in spark_line(values).split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 140
            assert 0 <= y <= 32


async def test_a_ticket_shows_what_fits_and_its_duplicates_until_they_are_decided(
    context: ConsoleContext, viewer: Browser
) -> None:
    fill(context)
    now = context.clock.now()
    with context.database.transaction() as session:
        for number in (1, 2, 3):
            session.add(
                Ticket(
                    number=f"YQ{number:014}",
                    lookup_code="000000",
                    state="to_dispatch",
                    channel="phone",
                    title="路灯不亮，电话13800138000",
                    content="川北小区三号楼前面一排路灯都不亮",
                    category="市政园林/路灯",
                    place="儒林街道",
                    created_at=now,
                    updated_at=now,
                )
            )
        session.flush()
        suggest(session, 2, settings=context.settings.duplicates, now=now)
    page = (await viewer.get(f"/tickets/YQ{2:014}")).text
    assert "可能重复" in page
    assert "路灯不亮的登记要点" in page
    assert "13800138000" not in page
    assert "不是同一件事" not in page, "a viewer merges nothing"
    assert (await viewer.post(f"/tickets/YQ{2:014}/duplicates/1/dismiss")).status_code == 403
    assert (await viewer.post(f"/tickets/YQ{2:014}/duplicates/1/accept")).status_code == 403
    async with browse(context) as reviewer:
        await reviewer.sign_in("reviewer")
        assert "不是同一件事" in (await reviewer.get(f"/tickets/YQ{2:014}")).text
        assert (await reviewer.post(f"/tickets/YQ{2:014}/duplicates/1/dismiss")).status_code == 303
        assert (await reviewer.post(f"/tickets/YQ{2:014}/duplicates/2/accept")).status_code == 303
        assert "可能重复" not in (await reviewer.get(f"/tickets/YQ{2:014}")).text
        assert (await reviewer.post(f"/tickets/YQ{2:014}/duplicates/{2**40}/dismiss")).status_code == 404
    with context.database.reading() as session:
        assert sorted(session.scalars(select(Ticket.state))) == ["merged", "to_dispatch", "to_dispatch"]
