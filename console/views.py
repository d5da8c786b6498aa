"""Rows as a page shows them: pure functions, personal numbers masked unless told otherwise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from asr import recognizer
from asr.fillers import fillers
from asr.masking import digits_in, mask_code, mask_numbers, mask_phone, mask_spoken
from asr.models import Segment, Transcript
from asr.review import ordered_segments
from asr.service import UNSURE_BELOW
from asr.text import aligned
from console import labels
from ivr.media.mixer import CALLER
from recordings.models import Call
from tickets.extraction.sheet import OBSERVED, PERSONAL
from tickets.models import Evidence, Ticket

NUMBERS = frozenset({"phone", "other_phones", "phone_extension", "id_number", "credit_code"})
"""Fields whose evidence is a number that was told, in whatever words."""
EXPECTED = ("category", "type", "tier", "caller_name", "phone", "place")
"""What every ticket should have."""
PLAIN = frozenset({"category", "type", "tier", "overlay", "place"})
"""What says nothing about a person."""
WITHHELD = "不显示"


@dataclass(frozen=True, kw_only=True)
class TicketRow:
    """A line of the list."""

    number: str
    title: str
    category: str
    state: str
    tier: str
    overlay: str
    flags: tuple[str, ...]
    place: str
    caller: str
    phone: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Why an automatic field has its value, and where in the recording to hear it (milliseconds)."""

    quote: str
    source: str
    percent: int
    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A field of a ticket."""

    field: str
    name: str
    value: str
    proof: Proof | None


@dataclass(frozen=True)
class Word:
    """A stretch of a segment's text and when it was spoken, in milliseconds. `heard`: the recognizer's word, where a
    name of the site is written in its place."""

    text: str
    start_ms: int
    end_ms: int
    unsure: bool = False
    filler: bool = False
    heard: str = ""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One segment of a transcript. `masked`: it hides a number."""

    speaker: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]
    text: str = ""
    masked: bool = False
    edited_by: str = ""
    confirmed_by: str = ""

    @property
    def unsure(self) -> bool:
        """Whether it has a word to look at."""
        return any(word.unsure for word in self.words)


def ticket_row(ticket: Ticket, *, told: bool = True) -> TicketRow:
    """A line of the list, always masked. `told`: whether the reader may know what people told, and who."""
    return TicketRow(
        number=ticket.number,
        title=mask_numbers(ticket.title) if told else WITHHELD,
        category=ticket.category,
        state=ticket.state,
        tier=ticket.tier,
        overlay=ticket.overlay,
        flags=tuple(str(flag) for flag in ticket.flags),
        place=ticket.place,
        caller=ticket.caller_name if told else WITHHELD,
        phone=mask_phone(ticket.phone) if told else WITHHELD,
        created_at=ticket.created_at,
    )


def facts(ticket: Ticket, *, masked: bool) -> tuple[Fact, ...]:
    """The fields of a ticket in reading order, then its flags; what every ticket should have is there when empty."""
    observed = {item.field: item.value for item in ticket.evidence if item.field in OBSERVED}
    petitioner = {field: str(ticket.petitioner.get(field, "")) for field in PERSONAL}
    proofs = {item.field: proof(item, masked=masked) for item in ticket.evidence}
    values = {
        "category": ticket.category.replace("/", " / "),
        "type": labels.label(labels.TYPES, ticket.type),
        "tier": labels.label(labels.TIERS, ticket.tier),
        "overlay": labels.label(labels.OVERLAYS, ticket.overlay),
        "caller_name": ticket.caller_name,
        "gender": labels.label(labels.GENDERS, petitioner["gender"]),
        "phone": mask_phone(ticket.phone) if masked else ticket.phone,
        "phone_extension": petitioner["phone_extension"],
        "other_phones": petitioner["other_phones"],
        "id_number": mask_code(petitioner["id_number"]) if masked else petitioner["id_number"],
        "enterprise": petitioner["enterprise"],
        "credit_code": mask_code(petitioner["credit_code"]) if masked else petitioner["credit_code"],
        "place": ticket.place,
        "community": ticket.community,
        "address": ticket.address,
        **{field: labels.label(labels.OBSERVED, observed.get(field, "")) for field in OBSERVED},
    }
    written = [
        Fact(
            field=field,
            name=labels.label(labels.FIELDS, field),
            value=mask_numbers(value) if masked else value,
            proof=proofs.get(field),
        )
        for field, value in values.items()
        if value or field in EXPECTED
    ]
    marked = [
        Fact(
            field=flag,
            name="标记",
            value=labels.label(labels.FLAGS, flag) + _detail(flag, ticket),
            proof=proofs.get(flag),
        )
        for flag in map(str, ticket.flags)
    ]
    return (*written, *marked)


def plain_facts(ticket: Ticket) -> tuple[Fact, ...]:
    """What of the fields says nothing about a person, without evidence, which quotes what was said."""
    kept = (fact for fact in facts(ticket, masked=True) if fact.field in PLAIN)
    flags = (("标记", flag, labels.label(labels.FLAGS, flag)) for flag in map(str, ticket.flags))
    return (
        *(replace(fact, proof=None) for fact in kept),
        *(Fact(field=flag, name=name, value=value, proof=None) for name, flag, value in flags),
    )


def _detail(flag: str, ticket: Ticket) -> str:
    """Who is in need of care."""
    return next((f"：{item.value}" for item in ticket.evidence if item.field == flag == "vulnerable"), "")


def proof(evidence: Evidence, *, masked: bool) -> Proof:
    """One piece of evidence."""
    hide = mask_code if evidence.field in NUMBERS else mask_numbers
    return Proof(
        quote=hide(evidence.quote) if masked else evidence.quote,
        source=labels.source_label(evidence.source),
        percent=round(100 * evidence.confidence),
        start_ms=evidence.start_ms,
        end_ms=evidence.end_ms,
    )


def utterances(
    transcript: Transcript | None, *, masked: bool, unsure_below: float = UNSURE_BELOW
) -> tuple[Utterance, ...]:
    """A transcript in the order of time; a word with less confidence than `unsure_below` is marked until it is
    confirmed."""
    if transcript is None:
        return ()
    shown = [_utterance(segment, unsure_below) for segment in ordered_segments(transcript)]
    return tuple(_mask(shown) if masked else shown)


def _utterance(segment: Segment, unsure_below: float) -> Utterance:
    sure = segment.confirmed_at is not None
    words = timed(segment.text, segment.words, unsure_below=0.0 if sure else unsure_below)
    return Utterance(
        speaker=segment.speaker,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        words=words or (Word(segment.text, segment.start_ms, segment.end_ms),),
        text=segment.text,
        edited_by=segment.edited_by or "",
        confirmed_by=segment.confirmed_by or "",
    )


def _mask(shown: list[Utterance]) -> Iterator[Utterance]:
    masked = iter(mask_spoken([(item.speaker, word.text) for item in shown for word in item.words]))
    for item in shown:
        words = tuple(replace(word, text=next(masked)) for word in item.words)
        hidden = any(word.text != before.text for word, before in zip(words, item.words, strict=True))
        yield replace(item, words=words, text="".join(word.text for word in words), masked=hidden)


def timed(text: str, rows: Sequence[Sequence[Any]], *, unsure_below: float = UNSURE_BELOW) -> tuple[Word, ...]:
    """The stretches of `text` with the times of the words they came from; `rows` are [text, start, end, confidence]."""
    try:
        words = [recognizer.Word(*row) for row in rows]
        shown = aligned(text, words)
    except (TypeError, ValueError):
        return ()
    hidden = {at for start, end in fillers(text) for at in range(start, end)}
    marked = zip(shown.text, shown.word_of, (at in hidden for at in range(len(text))), strict=True)
    stretches = groupby(marked, key=itemgetter(1, 2))
    return tuple(
        _timed(
            "".join(character for character, _, _ in stretch), words[index], filler=filler, unsure_below=unsure_below
        )
        for (index, filler), stretch in stretches
    )


def without_fillers(shown: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """The same for a reader who wants none."""
    return tuple(replace(item, words=tuple(word for word in item.words if not word.filler)) for item in shown)


def _timed(text: str, word: recognizer.Word, *, filler: bool, unsure_below: float) -> Word:
    plain = text.strip("，。？")
    renamed = len(plain) == len(word.text) and plain != word.text and not digits_in(plain + word.text)
    return Word(
        text,
        word.start_ms,
        word.end_ms,
        unsure=word.confidence < unsure_below,
        filler=filler,
        heard=word.text if renamed else "",
    )


@dataclass(frozen=True)
class VoiceQuality:
    """How the caller's audio came over the network: the worse of both directions, and the figures of each."""

    mos: str
    details: str


def voice_quality(call: Call) -> VoiceQuality | None:
    """None where nothing was measured."""
    measured = next((row for row in call.qualities if row.party == CALLER), None)
    if measured is None:
        return None
    scores = [score for score in (measured.received_mos, measured.sent_mos) if score is not None]
    if not scores:
        return None
    directions = (
        ("收", measured.received_loss, measured.received_jitter_ms),
        ("发", measured.sent_loss, measured.sent_jitter_ms),
    )
    details = [
        f"{name}：丢包 {100 * loss:.1f} %，抖动 {jitter_ms:.0f} 毫秒"
        for name, loss, jitter_ms in directions
        if loss is not None and jitter_ms is not None
    ]
    if measured.round_trip_ms is not None:
        details.append(f"往返 {measured.round_trip_ms:.0f} 毫秒")
    return VoiceQuality(mos=f"{min(scores):.1f}", details="；".join(details))
