"""Reviews of transcripts on a real database of both kinds."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console_seed import seed_heating_call
from sqlalchemy import select

from asr import repository
from asr.editing import Merge, Operation, SetSpeaker, SetText, Split
from asr.models import Segment, Transcript
from asr.recognizer import ModelInfo, Word
from asr.review import (
    Reviewer,
    StaleVersionError,
    confirm_sentence,
    confirm_transcript,
    edit_transcript,
    restore_version,
    sentences_of,
)
from asr.service import recognized, store_transcript
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from tickets.models import Evidence

CALL = "c0ffee"
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
LI = Reviewer(username="lisi", now=NOW)
WANG = Reviewer(username="wangwu", now=NOW + timedelta(minutes=1))
SPEECH = "我家的煤改电设备坏了，一直报警，屋里温度上不去。"


@pytest.fixture
def calls(database: Database) -> Database:
    with database.transaction() as session:
        seed_heating_call(session, None, now=NOW, recorded=False)
    return database


def edit(
    database: Database, *operations: Operation, base: int = 1, key: str = "k1", by: Reviewer = LI
) -> tuple[int, str, list[dict[str, Any]] | None]:
    with database.transaction() as session:
        made = edit_transcript(session, call_id=CALL, base=base, key=key, operations=operations, by=by)
        return made.version, made.editor, made.changes


def texts(database: Database, version: int | None = None) -> list[str]:
    with database.reading() as session:
        found = (
            repository.latest_transcript(session, CALL)
            if version is None
            else repository.transcript_version(session, CALL, version)
        )
        assert found is not None
        return [sentence.text for sentence in sentences_of(found)]


def rows(database: Database, version: int) -> list[tuple[Any, ...]]:
    with database.reading() as session:
        found = repository.transcript_version(session, CALL, version)
        assert found is not None
        return [(row.id, row.speaker, row.text, row.words, row.start_ms, row.end_ms) for row in found.segments]


def test_an_edit_is_a_new_version_and_the_machines_stays_as_it_was(calls: Database) -> None:
    before = rows(calls, 1)
    assert edit(calls, SetText(2, SPEECH)) == (2, "lisi", [{"do": "text", "at": 2}])
    assert texts(calls)[2] == SPEECH
    assert rows(calls, 1) == before
    with calls.reading() as session:
        found = repository.transcript_versions(session, CALL, limit=9)
        assert [(each.version, each.origin, each.current, each.base_version) for each in found] == [
            (2, "edit", True, 1),
            (1, "live", False, None),
        ]
        segment = sentences_of(found[0])[2]
        assert (segment.edited_by, segment.confirmed_by, segment.edited_at) == ("lisi", "lisi", NOW)


def test_the_same_edit_sent_twice_is_one_version(calls: Database) -> None:
    assert edit(calls, SetText(2, SPEECH)) == edit(calls, SetText(2, SPEECH))
    assert edit(calls, SetText(2, "另一句。"), base=2, key="k2")[0] == 3
    assert edit(calls, SetText(2, SPEECH))[0] == 2, "a late repeat returns what it made"


def test_who_comes_second_is_told_and_nothing_is_overwritten(calls: Database) -> None:
    edit(calls, SetText(2, SPEECH))
    with pytest.raises(StaleVersionError) as told:
        edit(calls, SetText(3, "老人孩子都冻着。"), key="k2", by=WANG)
    assert (told.value.version, told.value.editor, told.value.at) == (2, "lisi", NOW)
    assert len(texts(calls)) == 5
    assert edit(calls, SetText(3, "老人孩子都冻着。"), base=2, key="k2", by=WANG)[0] == 3
    assert texts(calls)[2:4] == [SPEECH, "老人孩子都冻着。"]


def test_of_many_who_save_at_once_one_wins_and_the_others_are_told(calls: Database) -> None:
    start = threading.Barrier(4)
    ends: list[object] = []

    def save(index: int) -> None:
        start.wait()
        try:
            ends.append(edit(calls, SetText(2, f"第{index}个人写的。"), key=f"k{index}")[0])
        except ConflictError as error:
            ends.append(type(error))

    threads = [threading.Thread(target=save, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, ends)) == sorted(map(str, [2, *[StaleVersionError] * 3]))


def test_an_older_version_comes_back_as_a_new_one(calls: Database) -> None:
    original = texts(calls)
    edit(calls, SetText(2, SPEECH))
    edit(calls, Split(1, 3), Merge(1), SetSpeaker(3, "seat"), base=2, key="k2")
    with calls.transaction() as session:
        made = restore_version(session, call_id=CALL, base=3, key="k3", version=1, by=WANG)
        assert (made.version, made.editor, made.changes) == (4, "wangwu", [{"do": "restore", "version": 1}])
        again = restore_version(session, call_id=CALL, base=3, key="k3", version=1, by=WANG)
        assert again.version == 4
        with pytest.raises(NotFoundError):
            restore_version(session, call_id=CALL, base=4, key="k4", version=77, by=WANG)
    assert texts(calls) == original
    assert [texts(calls, version)[2] for version in (1, 2, 3)] == [original[2], SPEECH, SPEECH]


def test_a_text_that_was_right_is_confirmed_without_a_new_version(calls: Database) -> None:
    assert edit(calls, SetText(2, texts(calls)[2]))[0] == 1
    with calls.reading() as session:
        current = repository.latest_transcript(session, CALL)
        assert current
        assert [sentence.confirmed_by for sentence in sentences_of(current)] == ["", "", "lisi", "", ""]


def test_confirmations_make_the_transcript_surer_and_can_be_taken_back(calls: Database) -> None:
    def share(change: Callable[..., Transcript], **values: Any) -> float:
        with calls.transaction() as session:
            return change(session, call_id=CALL, base=2, by=LI, **values).unsure_share

    assert edit(calls, SetText(4, "我电话是13800138000。"))[0] == 2
    with calls.reading() as session:
        before = repository.latest_transcript(session, CALL)
        assert before
        assert before.unsure_share > 0
        whole = before.unsure_share
    assert share(confirm_sentence, at=1, confirmed=True) < whole
    assert share(confirm_sentence, at=1, confirmed=True) < whole
    assert share(confirm_sentence, at=1, confirmed=False) == whole
    assert share(confirm_transcript) == 0
    with calls.reading() as session:
        current = repository.latest_transcript(session, CALL)
        assert current
        assert (current.version, current.confirmed_by, current.confirmed_at) == (2, "lisi", NOW)
        assert all(sentence.confirmed for sentence in sentences_of(current))
    assert 0 < share(confirm_sentence, at=1, confirmed=False) < whole
    with calls.reading() as session:
        current = repository.latest_transcript(session, CALL)
        assert current
        assert current.confirmed_at is None


def test_an_edit_after_the_confirmation_waits_for_another(calls: Database) -> None:
    with calls.transaction() as session:
        assert confirm_transcript(session, call_id=CALL, base=1, by=LI).confirmed_at == NOW
        with pytest.raises(StaleVersionError):
            confirm_transcript(session, call_id=CALL, base=0, by=LI)
        with pytest.raises(InvalidInputError):
            confirm_sentence(session, call_id=CALL, base=1, at=99, confirmed=True, by=LI)
    edit(calls, SetText(2, SPEECH))
    with calls.reading() as session:
        current = repository.latest_transcript(session, CALL)
        assert current
        assert (current.version, current.confirmed_at) == (2, None)


def test_a_machines_later_version_does_not_displace_a_persons(calls: Database) -> None:
    edit(calls, SetText(2, SPEECH))
    with calls.transaction() as session:
        heard = [recognized("caller", (Word("路灯", 0, 400, 0.3), Word("坏", 400, 600, 0.9)))]
        model = ModelInfo(name="better", engine="other", demo=False)
        late = store_transcript(session, call_id=CALL, origin="batch", model=model, segments=heard, now=NOW)
        assert (late.version, late.current, late.unsure_share) == (3, False, 0.6667)
    assert texts(calls)[2] == SPEECH
    assert edit(calls, SetText(2, "还是改。"), base=2, key="k2")[0] == 4


def test_a_machines_better_version_is_shown_while_nobody_edited(calls: Database) -> None:
    with calls.transaction() as session:
        heard = [recognized("caller", (Word("路灯", 0, 400, 0.9),))]
        model = ModelInfo(name="better", engine="other", demo=False)
        store_transcript(session, call_id=CALL, origin="batch", model=model, segments=heard, now=NOW)
    assert texts(calls) == ["路灯。"]
    with calls.reading() as session:
        current = session.scalars(select(Transcript.version).where(Transcript.current)).all()
        assert list(current) == [2]


def test_the_evidence_of_a_ticket_still_leads_to_its_segment(calls: Database) -> None:
    edit(calls, SetText(2, SPEECH))
    with calls.reading() as session:
        for evidence in session.scalars(select(Evidence).where(Evidence.segment_id.is_not(None))):
            segment = session.get_one(Segment, evidence.segment_id)
            assert evidence.quote in "".join(word[0] for word in segment.words)


def test_a_transcript_has_only_so_many_versions(calls: Database) -> None:
    few = Reviewer(username="lisi", now=NOW, max_versions=2)
    edit(calls, SetText(2, SPEECH), by=few)
    with pytest.raises(ConflictError, match="已有 2 个版本"):
        edit(calls, SetText(2, "再改。"), base=2, key="k2", by=few)
    assert len(texts(calls)) == 5


def test_a_call_without_a_transcript_has_nothing_to_review(calls: Database) -> None:
    with calls.transaction() as session, pytest.raises(NotFoundError, match="没有转写"):
        edit_transcript(session, call_id="nothing", base=1, key="k", operations=[Merge(0)], by=LI)
