"""Reviews of transcripts: edits make versions, confirmations are noted. Nothing here commits; the edge does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from asr import repository
from asr.concealment import reveals
from asr.editing import Change, Operation, Sentence, SetText, apply, describe
from asr.models import Segment, Transcript
from asr.recognizer import Word
from asr.service import UNSURE_BELOW, unsure_share
from hotline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from recordings.models import Call

RESTORE = "restore"


class StaleVersionError(ConflictError):
    """Somebody else changed the transcript since the page was read: `version` is the current one, by `editor`."""

    def __init__(self, current: Transcript) -> None:
        super().__init__("转写已有新的版本", hint="请看看改了什么，再保存您的修改")
        self.version, self.editor, self.at = current.version, current.editor, current.created_at


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """Who reviews when, and what bounds it."""

    username: str
    now: datetime
    sees_numbers: bool = True
    """Else nothing may be changed that hides a number, see `asr.concealment`."""
    unsure_below: float = UNSURE_BELOW
    max_versions: int = 500
    max_characters: int = 1000


def ordered_segments(transcript: Transcript) -> list[Segment]:
    """In the order of time: a sentence's place in it is how edits name it."""
    return sorted(transcript.segments, key=lambda segment: (segment.start_ms, segment.position))


def sentences_of(transcript: Transcript) -> tuple[Sentence, ...]:
    """A version's sentences in the order of time."""
    return tuple(
        Sentence(
            speaker=row.speaker,
            start_ms=row.start_ms,
            end_ms=row.end_ms,
            text=row.text,
            words=_words(row),
            edited_by=row.edited_by,
            edited_at=row.edited_at,
            confirmed_by=row.confirmed_by,
            confirmed_at=row.confirmed_at,
        )
        for row in ordered_segments(transcript)
    )


def _words(row: Segment) -> tuple[Word, ...]:
    """None where the row's are damaged: the text is there all the same."""
    try:
        return tuple(Word(*word) for word in row.words)
    except (TypeError, ValueError):
        return ()


def edit_transcript(
    session: Session, *, call_id: str, base: int, key: str, operations: Sequence[Operation], by: Reviewer
) -> Transcript:
    """The version that the operations make of version `base`, which must be the current one.

    The same `key` again returns what it made the first time. Where nothing is changed there is no new version; the
    sentences that were gone through are confirmed. Raises `StaleVersionError`, `InvalidInputError`, `NotFoundError`.
    """
    call, current = _open(session, call_id)
    made = repository.transcript_of_edit(session, call_id, key)
    if made is not None:
        return made
    _check_base(current, base)
    before = sentences_of(current)
    change = Change(
        editor=by.username,
        now=by.now,
        duration_ms=max([call.duration_ms, *(each.end_ms for each in before)]),
        max_characters=by.max_characters,
    )
    after = before
    for operation in operations:
        step = apply(after, operation, change)
        if not by.sees_numbers and step != after and reveals(after, operation, step):
            raise ForbiddenError("这里有隐去的号码，不能这样修改", hint="先显示完整号码（需填写原因），再修改")
        after = step
    if after == before:
        for operation in operations:
            if isinstance(operation, SetText):
                confirm_sentence(session, call_id=call_id, base=base, at=operation.at, confirmed=True, by=by)
        return current
    return _store(session, current, after, [describe(each) for each in operations], key, by)


def restore_version(session: Session, *, call_id: str, base: int, key: str, version: int, by: Reviewer) -> Transcript:
    """An older version anew, as the newest; raises as `edit_transcript`."""
    _, current = _open(session, call_id)
    made = repository.transcript_of_edit(session, call_id, key)
    if made is not None:
        return made
    _check_base(current, base)
    wanted = repository.transcript_version(session, call_id, version)
    if wanted is None:
        raise NotFoundError(f"转写没有第 {version} 版")
    if wanted.id == current.id:
        return current
    changes = [{"do": RESTORE, "version": version}]
    return _store(session, current, sentences_of(wanted), changes, key, by, source=wanted)


def confirm_sentence(
    session: Session, *, call_id: str, base: int, at: int, confirmed: bool, by: Reviewer
) -> Transcript:
    """Notes that a person found a sentence right, or takes that back; raises as `edit_transcript`."""
    _, current = _open(session, call_id)
    _check_base(current, base)
    rows = ordered_segments(current)
    if not 0 <= at < len(rows):
        raise InvalidInputError(f"没有第 {at + 1} 句", hint="请刷新页面后重试")
    if confirmed != (rows[at].confirmed_at is not None):
        rows[at].confirmed_by, rows[at].confirmed_at = (by.username, by.now) if confirmed else ("", None)
        if not confirmed:
            current.confirmed_by, current.confirmed_at = "", None
        current.unsure_share = unsure_share(rows, by.unsure_below)
        session.flush()
    return current


def confirm_transcript(session: Session, *, call_id: str, base: int, by: Reviewer) -> Transcript:
    """Notes that the whole transcript is right; again, nothing. Raises as `edit_transcript`."""
    _, current = _open(session, call_id)
    _check_base(current, base)
    if current.confirmed_at is None:
        for row in current.segments:
            if row.confirmed_at is None:
                row.confirmed_by, row.confirmed_at = by.username, by.now
        current.confirmed_by, current.confirmed_at, current.unsure_share = by.username, by.now, 0.0
        session.flush()
    return current


def _open(session: Session, call_id: str) -> tuple[Call, Transcript]:
    call = repository.lock_call(session, call_id)
    current = repository.latest_transcript(session, call_id) if call else None
    if call is None or current is None:
        raise NotFoundError("这通电话没有转写文字")
    return call, current


def _check_base(current: Transcript, base: int) -> None:
    if current.version != base:
        raise StaleVersionError(current)


def _store(
    session: Session,
    base: Transcript,
    sentences: Sequence[Sentence],
    changes: list[dict[str, object]],
    key: str,
    by: Reviewer,
    *,
    source: Transcript | None = None,
) -> Transcript:
    if repository.count_versions(session, base.call_id) >= by.max_versions:
        raise ConflictError(f"这份转写已有 {by.max_versions} 个版本，不能再修改", hint="请联系管理员")
    heard = source or base
    rows = [
        Segment(
            position=position,
            speaker=each.speaker,
            start_ms=each.start_ms,
            end_ms=each.end_ms,
            text=each.text,
            confidence=each.confidence,
            words=[[word.text, word.start_ms, word.end_ms, word.confidence] for word in each.words],
            edited_by=each.edited_by,
            edited_at=each.edited_at,
            confirmed_by=each.confirmed_by,
            confirmed_at=each.confirmed_at,
        )
        for position, each in enumerate(sentences)
    ]
    made = Transcript(
        call_id=base.call_id,
        version=repository.next_version(session, base.call_id),
        origin=repository.EDIT,
        engine=heard.engine,
        model=heard.model,
        demo_model=heard.demo_model,
        created_at=by.now,
        editor=by.username,
        base_version=base.version,
        changes=changes,
        edit_key=key,
        unsure_share=unsure_share(rows, by.unsure_below),
        segments=rows,
    )
    session.add(made)
    session.flush()
    repository.make_current(session, made)
    return made
