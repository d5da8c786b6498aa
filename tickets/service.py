"""Makes tickets from calls: gives numbers, fills fields with their evidence, writes the events. Never commits."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from asr.models import Transcript
from asr.recognizer import Word
from hotline.settings_sections import TicketSettings
from recordings.models import Call
from tickets import repository
from tickets.call_facts import EMERGENCY, SEAT, CallFacts
from tickets.deadlines import TierDeadlines, load_deadlines
from tickets.events import record_event
from tickets.extraction import OBSERVED, PERSONAL, Extraction, Finding, Learner, extract
from tickets.gazetteer import Gazetteer, load_gazetteer
from tickets.lifecycle import Command, State, next_state
from tickets.models import Evidence, Ticket, TicketNumber
from tickets.numbering import NumberParts, day_text, format_number
from tickets.projection import CONFIDENTIAL
from tickets.speech import Speech, SpokenSegment
from tickets.taxonomy import Taxonomy, load_taxonomy

CALLER = "caller"
PHONE_CHANNEL = "phone"
UNTRANSCRIBED = "untranscribed"
LIFE_AND_SAFETY = "T1"
PETITIONER = "petitioner"
# The columns that extraction fills, in the order people read them.
_FIELDS = (
    *("category", "type", "tier", "overlay", "title", "content", "caller_name", "phone", "place", "address"),
    *("town", "community", "caller_kind", "anonymous", "petitioner"),
)


@dataclass(frozen=True)
class SiteData:
    """The site's data files, read and checked; its zone, the area code that local numbers lack, and its trained
    classifier, where it has one."""

    taxonomy: Taxonomy
    gazetteer: Gazetteer
    deadlines: dict[str, TierDeadlines]
    zone: tzinfo = UTC
    area_code: str = ""
    learned: Learner | None = None

    def clocks(self, tier: str, overlay: str) -> dict[str, str]:
        """Step -> how long it may take (`2h`, `1wd`): the tier's, with the overlay's on top."""
        clocks = self.deadlines[tier].clocks()
        for item in self.taxonomy.overlays:
            if item.name == overlay:
                clocks |= item.clocks
        return clocks


@lru_cache(maxsize=1)
def load_site_data(settings: TicketSettings) -> SiteData:
    """Reads the data files, once a process; raises `ConfigurationError` naming file, line and key."""
    return SiteData(
        load_taxonomy(settings.taxonomy_path),
        load_gazetteer(settings.gazetteer_path),
        load_deadlines(settings.deadlines_path),
    )


def assign_number(
    session: Session, *, call_id: str, prefix: str, lookup_code: str, now: datetime, zone: ZoneInfo
) -> TicketNumber:
    """The call's number: the one it has, else the next of the local day, gap-free also among concurrent writers."""
    known = repository.number_of_call(session, call_id)
    if known is not None:
        return known
    return next_number(session, call_id=call_id, prefix=prefix, lookup_code=lookup_code, now=now, zone=zone)


def next_number(
    session: Session, *, prefix: str, lookup_code: str, now: datetime, zone: ZoneInfo, call_id: str | None = None
) -> TicketNumber:
    """The next number of the local day, for a demand without a call unless one is named."""
    day = now.astimezone(zone).date()
    counter = repository.lock_counter(session, day_text(day))
    known = repository.number_of_call(session, call_id) if call_id is not None else None
    if known is not None:  # another writer was before us at the lock
        return known
    counter.last_serial += 1
    number = TicketNumber(
        number=format_number(NumberParts(prefix, day, counter.last_serial)),
        day=counter.day,
        serial=counter.last_serial,
        lookup_code=lookup_code,
        call_id=call_id,
        assigned_at=now,
    )
    session.add(number)
    session.flush()
    return number


def spoken_by_caller(transcript: Transcript) -> Speech:
    """What the caller said in `transcript`."""
    return _spoken_by(CALLER, transcript)


def _spoken_by(speaker: str, transcript: Transcript) -> Speech:
    return Speech(
        [
            SpokenSegment(segment.position, segment.text, tuple(Word(*word) for word in segment.words))
            for segment in transcript.segments
            if segment.speaker == speaker
        ]
    )


def create_ticket(
    session: Session, *, call: Call, number: TicketNumber, transcript: Transcript | None, site: SiteData, now: datetime
) -> Ticket:
    """A new ticket, accepted and waiting for dispatch; without a transcript it is flagged `untranscribed`."""
    ticket = Ticket(
        number=number.number,
        lookup_code=number.lookup_code,
        call_id=call.id,
        state=next_state(State.ACCEPTING, Command.ACCEPT).value,
        channel=PHONE_CHANNEL,
        flags=[] if transcript else [UNTRANSCRIBED],
        created_at=now,
        check_at=now,
    )
    extraction = _extract(call, transcript, site)
    _assign(ticket, extraction, _FIELDS, now)
    session.add(ticket)
    session.flush()
    record_event(
        session,
        ticket,
        "created",
        now=now,
        data={"number": ticket.number, "call_id": call.id, "channel": ticket.channel},
    )
    _explain(session, ticket, extraction, _FIELDS, transcript, site, now)
    record_event(session, ticket, "accepted", now=now, data={"from": State.ACCEPTING.value, "to": ticket.state})
    return ticket


def complete_ticket(
    session: Session, ticket: Ticket, *, call: Call, transcript: Transcript, site: SiteData, now: datetime
) -> None:
    """Fills a ticket that was made before its transcript. What a person has changed meanwhile stays."""
    edited = repository.edited_fields(session, ticket.id)
    fields = tuple(field for field in _FIELDS if field not in edited)
    ticket.flags = [flag for flag in ticket.flags if flag != UNTRANSCRIBED]
    extraction = _extract(call, transcript, site)
    removed = repository.removed_flags(session, ticket.id)
    extraction = replace(extraction, flags=tuple(flag for flag in extraction.flags if flag not in removed))
    _assign(ticket, extraction, fields, now)
    _explain(session, ticket, extraction, fields, transcript, site, now)
    ticket.check_at = now  # the tier may be another


def _extract(call: Call, transcript: Transcript | None, site: SiteData) -> Extraction:
    silence = Speech(())
    found = extract(
        spoken_by_caller(transcript) if transcript else silence,
        seat=_spoken_by(SEAT, transcript) if transcript else silence,
        caller_id=call.caller_number,
        taxonomy=site.taxonomy,
        gazetteer=site.gazetteer,
        now=call.started_at.astimezone(site.zone),
        area_code=site.area_code,
        learned=site.learned,
    )
    return _with_facts(found, CallFacts.of_call(call))


def _with_facts(found: Extraction, facts: CallFacts) -> Extraction:
    """What happened in the call, beside what was said: an alarm makes it an emergency whatever was understood."""
    flags = dict.fromkeys([*found.flags, *facts.flags])
    if not facts.alarm_words or EMERGENCY in found.flags:
        return replace(found, flags=tuple(flags))
    words = "、".join(facts.alarm_words)
    findings = [item for item in found.findings if item.field != "tier"]
    alarm = [Finding("tier", LIFE_AND_SAFETY, "alarm", 1.0, None), Finding(EMERGENCY, words, "alarm", 1.0, None)]
    return replace(found, tier=LIFE_AND_SAFETY, flags=tuple(flags), findings=(*findings, *alarm))


def _assign(ticket: Ticket, extraction: Extraction, fields: tuple[str, ...], now: datetime) -> None:
    for field in fields:
        value = getattr(extraction, field)
        setattr(ticket, field, dict(value) if field == PETITIONER else value)
    ticket.keywords = list(extraction.keywords)
    ticket.flags = list(dict.fromkeys([*ticket.flags, *extraction.flags]))
    ticket.confidential = CONFIDENTIAL in ticket.flags
    ticket.updated_at = now


def _explain(
    session: Session,
    ticket: Ticket,
    extraction: Extraction,
    fields: tuple[str, ...],
    transcript: Transcript | None,
    site: SiteData,
    now: datetime,
) -> None:
    """Writes the evidence of the fields that were filled, and the event."""
    segments = {segment.position: segment.id for segment in transcript.segments} if transcript else {}
    shown = {*fields, *extraction.flags, *OBSERVED, *(PERSONAL if PETITIONER in fields else ())}
    findings = [item for item in extraction.findings if item.field in shown]
    repository.forget_evidence(session, ticket.id, {item.field for item in findings})
    for finding in findings:
        span = finding.span
        session.add(
            Evidence(
                ticket_id=ticket.id,
                field=finding.field,
                value=finding.value[:200],
                source=finding.source,
                confidence=finding.confidence,
                quote=(finding.quote or (span.quote if span else ""))[:200],
                segment_id=segments[span.segment] if span else None,
                start_ms=span.start_ms if span else None,
                end_ms=span.end_ms if span else None,
            )
        )
    data = {
        "fields": {field: getattr(ticket, field) for field in fields},
        "flags": ticket.flags,
        "keywords": ticket.keywords,
        "transcript_version": transcript.version if transcript else None,
        "clocks": site.clocks(ticket.tier, ticket.overlay),
    }
    record_event(session, ticket, "fields_extracted", now=now, data=data)
