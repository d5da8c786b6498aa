"""How far recognizers were from what people confirmed: scores of machine versions, made from the versions alone.

Both texts are compared as `asr.scoring.compare` does: 13800138000 and 幺三八零零幺三八零零零 are the same, and so are
23500块 and 两万三千五百块.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from asr import repository
from asr.models import RecognitionScore, Segment, Transcript
from asr.review import ordered_segments
from asr.scoring import Errors, compare
from asr.service import HOTLINE
from recordings.models import Call

SEAT = "seat"


def errors_by_speaker(machine: Sequence[Segment], reference: Sequence[Segment]) -> Mapping[str, Errors]:
    """The errors of each speaker's words; announcements are not recognized and left out. Both in the order of time.

    Who spoke is not the recognizer's to know: what a person gave to another speaker counts for that one in both.
    """
    heard: dict[str, list[str]] = {}
    for row in machine:
        if row.speaker != HOTLINE:
            heard.setdefault(_speaker(row, reference), []).append(row.text)
    said: dict[str, list[str]] = {}
    for row in reference:
        if row.speaker != HOTLINE:
            said.setdefault(row.speaker, []).append(row.text)
    speakers = sorted({*said, *heard})
    return {each: compare("，".join(said.get(each, ())), "，".join(heard.get(each, ()))).errors for each in speakers}


def _speaker(row: Segment, reference: Sequence[Segment]) -> str:
    """Who said it by the confirmed text: its own speaker where he speaks at that time, else who does most."""
    overlaps: dict[str, int] = {}
    for other in reference:
        common = min(row.end_ms, other.end_ms) - max(row.start_ms, other.start_ms)
        if common > 0 and other.speaker != HOTLINE:
            overlaps[other.speaker] = overlaps.get(other.speaker, 0) + common
    if row.speaker in overlaps or not overlaps:
        return row.speaker
    return max(overlaps, key=overlaps.__getitem__)


def score_call(session: Session, reference: Transcript, *, zone: ZoneInfo) -> None:
    """Scores all machine versions of the call against a confirmed one, in place of the scores it had."""
    call = session.get_one(Call, reference.call_id)
    repository.forget_scores(session, call.id)
    confirmed = ordered_segments(reference)
    for machine in repository.machine_transcripts(session, call.id):
        for speaker, errors in errors_by_speaker(ordered_segments(machine), confirmed).items():
            session.add(
                RecognitionScore(
                    transcript_id=machine.id,
                    reference_id=reference.id,
                    speaker=speaker,
                    seat=_only_seat(call) if speaker == SEAT else "",
                    origin=machine.origin,
                    engine=machine.engine,
                    model=machine.model,
                    day=call.started_at.astimezone(zone).date().isoformat(),
                    characters=errors.characters,
                    substitutions=errors.substitutions,
                    deletions=errors.deletions,
                    insertions=errors.insertions,
                )
            )
    session.flush()


def replay(session: Session, *, zone: ZoneInfo) -> int:
    """Makes all scores anew from the newest confirmed version of each call; how many calls there were."""
    references = repository.confirmed_transcripts(session)
    repository.forget_scores(session)
    for reference in references:
        score_call(session, reference, zone=zone)
    return len(references)


def _only_seat(call: Call) -> str:
    """The call's seat; empty where several took part, whose words are not told apart."""
    entries = (call.details or {}).get("entries") or ()
    seats = {
        str(entry.get("party", "")) for entry in entries if entry.get("kind") == "joined" and entry.get("role") == SEAT
    }
    return seats.pop()[:64] if len(seats) == 1 else ""
