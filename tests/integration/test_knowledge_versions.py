"""Snippets on rows: versions, imports that change nothing twice, and what ends soon."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hotline.db import Database
from tickets.knowledge import Snippet
from tickets.knowledge_repository import (
    Imported,
    current_snippets,
    expiring_snippets,
    import_snippets,
    newest_id,
    snippet_of,
    versions_of,
)

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
SUBSIDY = Snippet(code="A1", title="取暖补贴", body="按户发放", tags=("补贴",), valid_to=date(2026, 12, 1))


def test_an_edit_is_a_new_version_and_the_old_one_stays(database: Database) -> None:
    with database.transaction() as session:
        assert import_snippets(session, [SUBSIDY], actor="a", now=NOW) == Imported(1, 0, 0)
        assert import_snippets(session, [SUBSIDY], actor="a", now=NOW) == Imported(0, 0, 1)
        before = newest_id(session)
        changed = replace(SUBSIDY, body="按面积发放")
        assert import_snippets(session, [changed], actor="b", now=NOW, dry_run=True) == Imported(0, 1, 0)
        assert newest_id(session) == before
        assert import_snippets(session, [changed], actor="b", now=NOW) == Imported(0, 1, 0)
        assert newest_id(session) > before
    with database.reading() as session:
        assert [snippet_of(row) for row in current_snippets(session)] == [changed]
        assert [(row.version, row.body, row.created_by) for row in versions_of(session, "A1")] == [
            (2, "按面积发放", "b"),
            (1, "按户发放", "a"),
        ]


def test_what_ends_soon_or_has_just_ended_is_listed_for_its_owner(database: Database) -> None:
    today = NOW.date()
    given = [
        replace(SUBSIDY, code=code, valid_to=today + timedelta(days=days))
        for code, days in (("soon", 10), ("gone", -5), ("later", 31), ("old", -40))
    ]
    with database.transaction() as session:
        import_snippets(session, [*given, replace(SUBSIDY, code="never", valid_to=None)], actor="a", now=NOW)
        assert [row.code for row in expiring_snippets(session, today, days=30)] == ["gone", "soon"]
