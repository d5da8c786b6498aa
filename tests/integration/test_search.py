"""Full-text search on both databases: what is found, what is not, and who may find a number."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from asr import search
from asr.models import IndexedSegment, Segment, Transcript
from asr.query import fold, parse_query
from asr.recognizer import ModelInfo, Word
from asr.search import Search, count_stale, index_transcript, matching_calls, matching_segments, stale_transcripts
from asr.service import Origin, Utterance, store_transcript
from hotline.db import Database
from hotline.errors import InvalidInputError
from recordings.models import Call

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
MODEL = ModelInfo(name="zh_tiny", engine="vosk", demo=True)


def store(session: Session, call_id: str, *said: str, origin: Origin = "edit") -> Transcript:
    """A call's next transcript: utterances as `speaker:text`."""
    if session.get(Call, call_id) is None:
        session.add(Call(id=call_id, started_at=NOW, ended_at=NOW + timedelta(minutes=1)))
        session.flush()
    segments = []
    for at, line in enumerate(said):
        speaker, _, text = line.partition(":")
        segments.append(Utterance(speaker, text, (Word(text, 1000 * at, 1000 * at + 900, 1.0),)))
    return store_transcript(session, call_id=call_id, origin=origin, model=MODEL, segments=segments, now=NOW)


def find(session: Session, text: str, *, speaker: str = "", numbers: bool = False) -> list[str]:
    """The calls found, the best first."""
    query = parse_query(text, max_length=100, max_terms=8)
    assert query is not None
    calls = matching_calls(session, Search(query=query, speaker=speaker, numbers=numbers))
    best = calls.c.together.desc(), calls.c.segments.desc(), calls.c.call_id
    return list(session.scalars(select(calls.c.call_id).order_by(*best)))


@pytest.fixture
def calls(database: Database) -> Database:
    with database.transaction() as session:
        store(
            session,
            "light",
            "hotline:您好，请讲",
            "caller:永宁镇幸福小区，三号楼前的路灯坏了。",
            "caller:晚上黑，没有路灯很危险",
        )
        store(session, "heat", "caller:我家的暖气一直不热", "seat:永宁镇哪个小区？", "caller:我的电话是13800138000。")
        store(session, "site", "caller:工地路灯太亮了，影响休息", "caller:WiFi 也不通", "seat:好的，302室")
    return database


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("路灯", ["light", "site"]),
        ("灯", ["light", "site"]),
        ("了", ["light", "site"]),
        ("永宁镇", ["heat", "light"]),
        ("路灯坏了", ["light"]),
        ("“小区，三号”", ["light"]),
        ("灯路", []),
        ("永宁镇 路灯", ["light"]),
        ("永宁镇 暖气", ["heat"]),
        ("路灯 -工地", ["light"]),
        ("永宁镇 -暖气 -路灯", []),
        ("wifi", ["site"]),
        ("ＷＩＦＩ", ["site"]),
        ("三〇二室", ["site"]),
        ("302", ["site"]),
        ("休息wifi", []),
        ("没有这个词", []),
    ],
)
def test_what_was_said_is_found(calls: Database, text: str, found: list[str]) -> None:
    with calls.reading() as session:
        assert find(session, text) == found


def test_who_said_it_may_be_asked_for(calls: Database) -> None:
    with calls.reading() as session:
        assert find(session, "永宁镇", speaker="caller") == ["light"]
        assert find(session, "永宁镇", speaker="seat") == ["heat"]
        assert find(session, "永宁镇", speaker="nobody") == []


def test_segments_with_most_of_the_words_come_first(calls: Database) -> None:
    query = parse_query("危险 路灯", max_length=100, max_terms=8)
    assert query is not None
    with calls.reading() as session:
        found = matching_segments(session, Search(query=query), ["light", "heat"])
        texts = [session.get_one(Segment, segment_id).text for segment_id in found["light"]]
    assert texts == ["晚上黑，没有路灯很危险", "永宁镇幸福小区，三号楼前的路灯坏了。"]
    assert "heat" not in found


@pytest.mark.parametrize(
    "text", ["13800138000", "0013", "138001", "幺三八零零幺三八零零零", "电话是13800138000", "138-0013-8000"]
)
def test_a_hidden_number_is_found_with_the_right_only(calls: Database, text: str) -> None:
    with calls.reading() as session:
        assert find(session, text, numbers=True) == ["heat"]
        assert find(session, text) == []


@pytest.mark.parametrize("text", ["138", "电话是138", "8000"])
def test_what_a_masked_number_shows_is_found_by_everybody(calls: Database, text: str) -> None:
    with calls.reading() as session:
        assert find(session, text) == ["heat"]
        assert find(session, text, numbers=True) == ["heat"]


def test_no_run_of_digits_confirms_a_number_bit_by_bit(calls: Database) -> None:
    """What one learns from every query of two to four digits is what the page shows anyway."""
    with calls.reading() as session:
        for length in (2, 3, 4):
            windows = {"13800138000"[at : at + length] for at in range(12 - length)}
            shown = {window for window in windows if window in "138" or window in "8000"}
            assert {window for window in windows if find(session, window) == ["heat"]} == shown


def test_an_excluded_number_tells_nothing_without_the_right(calls: Database) -> None:
    with calls.reading() as session:
        assert find(session, "暖气 -13800138000") == ["heat"]
        assert find(session, "暖气 -13800138000", numbers=True) == []


def test_a_number_told_over_several_segments_is_found_whole(database: Database) -> None:
    with database.transaction() as session:
        store(session, "call", "caller:我的电话138", "seat:嗯", "caller:0013", "seat:请说", "caller:8000就这个")
    with database.reading() as session:
        assert find(session, "13800138000", numbers=True) == ["call"]
        assert find(session, "13800138000") == []
        assert find(session, "0013") == []


def test_the_newest_version_is_found_and_no_other(calls: Database) -> None:
    with calls.transaction() as session:
        store(session, "light", "caller:井盖丢了")
    with calls.reading() as session:
        assert find(session, "路灯") == ["site"]
        assert find(session, "井盖") == ["light"]
        assert count_stale(session) == 0


def test_a_machines_version_after_a_persons_edit_is_not_found(calls: Database) -> None:
    with calls.transaction() as session:
        store(session, "light", "caller:井盖丢了", origin="batch")
    with calls.reading() as session:
        assert find(session, "路灯") == ["light", "site"]
        assert find(session, "井盖") == []
        assert count_stale(session) == 0


def test_a_transcript_of_a_transaction_that_fails_is_not_found(calls: Database) -> None:
    def fail() -> None:
        with calls.transaction() as session:
            store(session, "light", "caller:井盖丢了")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with calls.reading() as session:
        assert find(session, "井盖") == []
        assert find(session, "路灯") == ["light", "site"]


def test_deleted_segments_are_found_no_more(calls: Database) -> None:
    with calls.transaction() as session:
        transcript = session.scalars(select(Transcript).where(Transcript.call_id == "light")).one()
        session.delete(transcript)
    with calls.transaction() as session:
        session.execute(delete(Segment).where(Segment.text.contains("工地")))
    with calls.reading() as session:
        assert find(session, "路灯") == []
        assert find(session, "wifi") == ["site"]


def test_what_is_out_of_step_is_counted_and_mended(calls: Database) -> None:
    with calls.transaction() as session:
        search.forget_index(session)
        assert session.scalar(select(func.count()).select_from(IndexedSegment)) == 0
        assert find(session, "路灯") == []
        assert count_stale(session) == 3
    with calls.transaction() as session:
        for transcript in stale_transcripts(session, limit=2):
            index_transcript(session, transcript)
        assert count_stale(session) == 1
        for transcript in stale_transcripts(session, limit=2):
            index_transcript(session, transcript)
    with calls.reading() as session:
        assert count_stale(session) == 0
        assert find(session, "路灯") == ["light", "site"]


def test_a_transcript_indexed_by_older_rules_is_out_of_step(calls: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "RULES", search.RULES + 1)
    with calls.reading() as session:
        assert count_stale(session) == 3


def test_a_silent_call_is_in_step(database: Database) -> None:
    with database.transaction() as session:
        store(session, "silent")
        assert count_stale(session) == 0


WORDS = st.text(alphabet="路灯坏了永宁镇13807X, -\"'*()^:|&!<>\\\u3000", max_size=8)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(said=st.lists(WORDS.filter(bool), min_size=1, max_size=4), text=WORDS | st.text(max_size=12))
def test_any_query_finds_what_reading_everything_would(database: Database, said: list[str], text: str) -> None:
    try:
        query = parse_query(text, max_length=100, max_terms=8)
    except InvalidInputError:
        return
    if query is None:
        return
    with database.transaction() as session:
        store(session, "call", *(f"caller:{each}" for each in said))
    folded = [fold(each).text for each in said]
    expected = all(any(form in each for form in term.forms for each in folded) for term in query.terms) and not any(
        form in each for term in query.without for form in term.forms for each in folded
    )
    with database.reading() as session:
        found = find(session, text, numbers=True)
        if not query.is_number:  # a number may go on in the next segment
            assert found == (["call"] if expected else [])
        elif expected:
            assert found in (["call"], []) if query.without else found == ["call"]
