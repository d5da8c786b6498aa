"""What reviewers corrected becomes candidates for the site's words, on a real database of both kinds."""

from datetime import UTC, datetime, timedelta

import pytest
from console_seed import seed_heating_call

from asr.corrections import Candidate
from asr.editing import SetText
from asr.review import Reviewer, edit_transcript
from asr.suggestions import suggest_words
from hotline.db import Database

CALL = "c0ffee"
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
def calls(database: Database) -> Database:
    with database.transaction() as session:
        seed_heating_call(session, None, now=NOW, recorded=False)
        edit_transcript(
            session,
            call_id=CALL,
            base=1,
            key="k1",
            operations=(SetText(2, "我家的煤改电设备坏了，一直跳闸，屋里温度上不去。"),),
            by=Reviewer(username="lisi", now=NOW),
        )
    return database


def suggested(
    database: Database, *, since: datetime = NOW, known: tuple[str, ...] = (), least: int = 1
) -> list[Candidate]:
    with database.reading() as session:
        return suggest_words(session, since=since, calls=10, known=known, at_least=least)


def test_a_corrected_word_is_suggested_with_what_was_heard(calls: Database) -> None:
    assert suggested(calls) == [Candidate("跳闸", 1, ("报警",))]


def test_known_words_rare_ones_and_old_reviews_are_not_suggested(calls: Database) -> None:
    assert suggested(calls, known=("跳闸",)) == []
    assert suggested(calls, least=2) == []
    assert suggested(calls, since=NOW + timedelta(seconds=1)) == []


def test_nothing_edited_suggests_nothing(database: Database) -> None:
    assert suggested(database) == []
