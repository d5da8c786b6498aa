"""The worker's jobs: numbers and look-ups during a call, tickets after it. Each may run again and ends the same.

`ingest_call` takes a finished call out of the spool in steps, each in its own transaction and skipped where its rows
exist: recording -> transcript -> ticket -> archive. The journal leaves the spool last, so a worker that is killed
anywhere, or a job that was never handed in, is made good by the next run or by `sweep_spool`.
"""

import logging
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sqlalchemy.orm import Session

from asr.capacity import STATE, RecognizerPool
from asr.models import Transcript
from asr.recognizer import ModelInfo
from asr.service import Utterance, latest_transcript, store_transcript, transcribe_call
from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import InvalidInputError, UnavailableError
from hotline.jobs import Jobs
from hotline.settings import Settings
from ivr.journal import JOURNAL_SUFFIX, Journal
from recordings.chain_repository import paths_of_call
from recordings.models import Call
from recordings.repository import find_recording
from recordings.service import archive, ingest_recording, store_call
from recordings.spare import remove_recording
from recordings.store import RecordingStore
from tickets import lookup, repository
from tickets.call_facts import CallFacts
from tickets.classifier.site import SiteClassifier
from tickets.commands import conclude_call_back, load_desk
from tickets.figure_repository import note_call
from tickets.lexicon import watch_lexicon
from tickets.models import Ticket, TicketNumber
from tickets.notices.occasions import tell_created
from tickets.numbering import LOOKUP_DIGITS
from tickets.service import (
    CALLER,
    UNTRANSCRIBED,
    SiteData,
    assign_number,
    complete_ticket,
    create_ticket,
    load_site_data,
    spoken_by_caller,
)
from tickets.survey import is_survey, take_answers

log = logging.getLogger(__name__)

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class TicketJobs:
    """The jobs with what they work on. Raises `ConfigurationError` for wrong data files."""

    def __init__(
        self, *, settings: Settings, database: Database, jobs: Jobs, bus: Bus, store: RecordingStore, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._bus = bus
        self._store = store
        self._clock = clock
        self._site_data = load_site_data(settings.tickets)
        self._lexicon = watch_lexicon(settings)
        self._desk = load_desk(settings)
        self._classifier = SiteClassifier(settings, self._site_data.taxonomy.categories)

    @property
    def _site(self) -> SiteData:
        """With the places and the classifier as they are now."""
        return replace(
            self._site_data,
            gazetteer=self._lexicon.get().gazetteer,
            learned=self._classifier,
            zone=self._settings.zone,
            area_code=self._settings.dial_plan.area_code,
        )

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {"assign_number": self.assign_number, "look_up": self.look_up, "ingest_call": self.ingest_call}

    def assign_number(self, call_id: str) -> None:
        """Gives a call in progress its number and publishes `number.assigned`; again, the same number."""
        _check_call_id(call_id)
        with self._database.transaction() as session:
            number = self._number(session, call_id)
        self._publish("number.assigned", call_id=call_id, number=number.number, lookup_code=number.lookup_code)

    def look_up(self, call_id: str, subject: str, values: dict[str, str]) -> None:
        """Finds out what a flow asks (`ivr.menu.flow.SUBJECTS`) and publishes `lookup.done`: variables, or None."""
        _check_call_id(call_id)
        if subject != lookup.SUBJECT:
            raise InvalidInputError(f"nothing to look up by the name {subject[:40]!r}")
        with self._database.transaction() as session:
            found = lookup.ticket_progress(
                session, values, call_id=call_id, bounds=self._settings.tickets, now=self._clock.now()
            )
        self._publish("lookup.done", call_id=call_id, values=found)

    def ingest_call(self, journal_path: str) -> None:
        """Turns the finished call whose journal lies at `<node>/<call id>.jsonl` in the spool into rows and a ticket.

        Raises `UnavailableError`, to be tried again, while store, database or (for a while) recognizer are away, or
        another run works on the call.
        """
        path = self._journal_path(journal_path)
        with self._jobs.lease(path.stem):
            try:
                self._ingest(path)
            finally:
                with suppress(FileNotFoundError):  # archived
                    self._mark(path)

    def _ingest(self, path: Path) -> None:
        journal = self._journal(path)
        if journal is None or not journal.closed:
            return
        with self._database.reading() as session:
            known = paths_of_call(session, journal.call_id)
        stored = store_call(journal, store=self._store, known=known)
        with self._database.transaction() as session:
            call = ingest_recording(session, journal=journal, stored=stored, now=self._clock.now())
            recorded = find_recording(session, call.id) is not None
            note_call(session, call, self._settings.zone)
        if (
            not recorded
        ):  # one that cannot be read is in the store now: from here on the call is one without a recording
            remove_recording(journal.audio_path)
        transcribed = self._transcribe(journal, call)
        ticket = self._ticket(journal, call)
        if ticket is not None:
            self._publish(
                "ticket.created",
                ticket_id=ticket.id,
                number=ticket.number,
                call_id=call.id,
                confidential=ticket.confidential,
            )
        if transcribed:
            if self._settings.asr.second_pass:
                self._jobs.enqueue("second_pass", call_id=call.id)
            archive(journal)

    def sweep_spool(self) -> None:
        """Hands in the finished calls that still lie in the spool: their job was lost, or waits for a recognizer.

        A journal's time of modification says when it was last written, handed in or tried. What a job works on is left
        alone: the queue must not fill with copies of one job.
        """
        self._database.ping()  # while it is away more jobs would only pile up
        now = self._clock.now().timestamp()
        for path in sorted(self._settings.spool_dir.glob(f"*/*{JOURNAL_SUFFIX}")):
            with suppress(FileNotFoundError):  # a worker took it meanwhile
                waits = 0 <= now - path.stat().st_mtime < self._settings.tickets.sweep_after_s
                if not waits and not self._jobs.leased(path.stem) and Journal.read(path).closed:
                    self._jobs.enqueue("ingest_call", journal_path=f"{path.parent.name}/{path.name}")
                    self._mark(path)

    def _mark(self, path: Path) -> None:
        now = self._clock.now().timestamp()
        os.utime(path, (now, now))

    def _journal_path(self, journal_path: str) -> Path:
        path = self._settings.spool_dir / journal_path
        parts = Path(journal_path).parts
        if len(parts) != 2 or ".." in parts or path.suffix != JOURNAL_SUFFIX or not _CALL_ID.fullmatch(path.stem):
            raise InvalidInputError(f"not a journal in the spool: {journal_path!r}")
        return path

    def _journal(self, path: Path) -> Journal | None:
        """The journal, or None where another run has archived it."""
        try:
            return Journal.read(path)
        except FileNotFoundError:
            log.info("call %s is archived already", path.stem)
            return None

    def _transcribe(self, journal: Journal, call: Call) -> bool:
        """Whether the call has its transcript now. A recognizer that stays away holds the ticket up only so long."""
        with self._database.reading() as session:
            if latest_transcript(session, call.id) is not None:
                return True
        try:
            origin, model, utterances = self._recognize(journal)
        except UnavailableError:
            waited = (self._clock.now() - call.ended_at).total_seconds()
            if 0 <= waited < self._settings.tickets.transcript_patience_s:  # less: the clock was set back
                raise
            log.warning("call %s: no recognizer for %.0f s, going on without a transcript", call.id, waited)
            return False
        now = self._clock.now()
        with self._database.transaction() as session:
            store_transcript(
                session,
                call_id=call.id,
                origin=origin,
                model=model,
                segments=utterances,
                now=now,
                unsure_below=self._settings.review.unsure_below,
            )
        return True

    def _recognize(self, journal: Journal) -> tuple[Literal["live", "batch"], ModelInfo, list[Utterance]]:
        """As `transcribe_call`, by the idlest recognizer that answers; raises `UnavailableError` where none does."""
        settings = self._settings
        pool = RecognizerPool(settings.effective_asr_urls(), fallback=not settings.fixed_asr_urls())
        with suppress(UnavailableError):
            pool.tell(self._bus.states(STATE))
        failure = UnavailableError("there is no recognizer")
        for url in pool.by_load():
            try:
                return transcribe_call(
                    journal, audio_path=journal.audio_path, asr_url=url, corrector=self._lexicon.get().corrector
                )
            except UnavailableError as error:
                failure = error
        raise failure

    def _ticket(self, journal: Journal, call: Call) -> Ticket | None:
        """The call's ticket, made or completed where that is due; None for a call that is nobody's demand.

        A survey's call gives its answers to the ticket that it is about.
        """
        now = self._clock.now()
        if is_survey(call, self._desk.survey):
            with self._database.transaction() as session:
                ticket = take_answers(session, call, plan=self._desk.survey, now=now)
                if ticket is None:
                    log.warning("call %s is a survey of no ticket", call.id)
                else:
                    held = repository.lock_ticket(session, ticket.number, None)
                    conclude_call_back(session, held, desk=self._desk, now=now)
            return None
        facts = CallFacts.of_call(call)
        with self._database.transaction() as session:
            transcript = latest_transcript(session, call.id)
            ticket = repository.ticket_of_call(session, call.id)
            if ticket is not None:
                if transcript is not None and UNTRANSCRIBED in ticket.flags:
                    complete_ticket(session, ticket, call=call, transcript=transcript, site=self._site, now=now)
                return ticket
            numbered = repository.number_of_call(session, call.id) is not None
            if not facts.becomes_ticket(numbered=numbered, spoke=_caller_spoke(journal, transcript)):
                return None
            number = self._number(session, call.id)
            ticket = create_ticket(session, call=call, number=number, transcript=transcript, site=self._site, now=now)
            tell_created(session, ticket, plan=self._desk.notices, now=now)
            return ticket

    def _number(self, session: Session, call_id: str) -> TicketNumber:
        return assign_number(
            session,
            call_id=call_id,
            prefix=self._settings.tickets.number_prefix,
            lookup_code=f"{secrets.randbelow(10**LOOKUP_DIGITS):0{LOOKUP_DIGITS}}",
            now=self._clock.now(),
            zone=self._settings.zone,
        )

    def _publish(self, name: str, **data: object) -> None:
        self._bus.publish(Event(name=name, at=self._clock.now(), data=data))


def _check_call_id(call_id: str) -> None:
    if not _CALL_ID.fullmatch(call_id):
        raise InvalidInputError(f"not a call id: {call_id!r}")


def _caller_spoke(journal: Journal, transcript: Transcript | None) -> bool:
    """By the transcript; without one, by the captions."""
    if transcript is not None:
        return bool(spoken_by_caller(transcript).text)
    return any(entry.data.get("speaker") == CALLER for entry in journal.all("segment"))
