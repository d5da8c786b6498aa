"""Deletes what the rules say: the audio of calls, with a certificate of each, and entries of the access log.

A call's rows are changed and its certificate written in one transaction, under the call's lock; then its files go. A
run that is killed in between is made good by the next: a certificate whose files may be left is not yet `erased_at`.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from hotline.jobs import Jobs
from hotline.settings import Settings
from ivr.journal import JOURNAL_SUFFIX
from recordings import retention_repository as rows
from recordings.certificates import ACCESS_LOG, AUDIO
from recordings.chain import REMOVED, StoredFile
from recordings.chain_repository import Addition, append_links, current_files
from recordings.loose_files import settle
from recordings.models import Call, Recording
from recordings.repository import find_recording
from recordings.retention_models import DeletionCertificate, LegalHold, RetentionRun
from recordings.service import peaks_name
from recordings.store import RecordingStore
from tickets.lifecycle import State
from tickets.models import Ticket
from tickets.repository import find_ticket, ticket_of_call
from tickets.retention_rules import RetentionRules, after, before, load_retention, schedule
from tickets.survey_repository import find_attempt

log = logging.getLogger(__name__)

JOB, LEASE = "retain", "retention"
SYSTEM = "system"
AGAIN_S = 3600.0  # a run that was handed in and did not come to its end is handed in again
ENDED = frozenset(
    {State.CLOSED, State.ARCHIVED, State.ANSWERED_DIRECTLY, State.TRANSFERRED, State.MERGED, State.REFUSED}
)
UNDER_APPEAL = "under_appeal"
MAX_REASON = 200
PurgeLog = Callable[[Session, datetime], dict[str, Any] | None]
"""Deletes the access log before a moment: what it was (name, sha256, size_bytes), None where there was nothing."""


@dataclass(frozen=True)
class Due:
    """A call whose audio is to be deleted."""

    call_id: str
    ticket: str
    rule: str
    due_at: datetime


class Retention:
    """A run, by the worker or a person."""

    def __init__(
        self, *, settings: Settings, database: Database, store: RecordingStore, purge_log: PurgeLog, clock: Clock
    ) -> None:
        self._rules: RetentionRules = load_retention(settings.tickets.retention_path)
        self._database = database
        self._store = store
        self._purge_log = purge_log
        self._clock = clock

    def due(self) -> Iterator[Due]:
        """The calls whose audio is due now."""
        now = self._clock.now()
        shortest = max(before(now, period) for period in (self._rules.audio, *self._rules.categories.values()))
        with self._database.reading() as session:
            calls = rows.recorded_calls(session, ended_by=shortest)
        for call_id in calls:
            with self._database.reading() as session:
                due = self._due(session, session.get_one(Call, call_id), now)
            if due is not None:
                yield due

    def run(self, *, actor: str) -> list[int]:
        """Deletes what is due; the numbers of its certificates. Raises `UnavailableError` while the store is away."""
        self._erase()
        numbers = [number for due in self.due() if (number := self._delete(due.call_id, actor)) is not None]
        now = self._clock.now()
        with self._database.transaction() as session:
            due_at = before(now, self._rules.access_log)
            purged = self._purge_log(session, due_at)
            if purged is not None:
                rule = f"access_log {self._rules.access_log}"
                row = rows.certify(
                    session, kind=ACCESS_LOG, rule=rule, due_at=now, actor=actor, files=[purged], now=now
                )
                row.erased_at = now
                numbers.append(row.number)
            session.add(RetentionRun(ended_at=now, actor=actor, deleted=len(numbers)))
        log.info("retention: %d deletions", len(numbers))
        return numbers

    def _due(self, session: Session, call: Call, now: datetime) -> Due | None:
        if rows.hold_of(session, call.id) is not None:
            return None
        ticket = _ticket_about(session, call.id)
        if ticket is not None and not _ended(ticket):
            return None
        period, rule = self._rules.audio_rule(ticket.category if ticket else "")
        due_at = after(call.ended_at, period)
        return Due(call.id, ticket.number if ticket else "", rule, due_at) if due_at <= now else None

    def _delete(self, call_id: str, actor: str) -> int | None:
        now = self._clock.now()
        with self._database.transaction() as session:
            call = rows.locked_call(session, call_id)
            recording = find_recording(session, call_id)
            due = self._due(session, call, now) if call is not None and recording is not None else None
            if due is None or recording is None:  # it is held, or another run was first
                return None
            chained = [file for file in current_files(session, call_id) if not file.name.endswith(JOURNAL_SUFFIX)]
            files = chained or [*self._unchained(recording)]
            row = rows.certify(
                session, kind=AUDIO, **asdict(due), actor=actor, files=[_plain(file) for file in files], now=now
            )
            session.delete(recording)
            note = f"deletion certificate {row.number}"
            append_links(session, [Addition(file, REMOVED, note) for file in chained], call_id=call_id, now=now)
            number = row.number
        self._erase()
        return number

    def _unchained(self, recording: Recording) -> Iterator[StoredFile]:
        """The files of a recording that is older than the chain."""
        sha256, size = recording.sha256, recording.size_bytes
        yield StoredFile(name=recording.path, sha256=sha256, size_bytes=size, content_sha256=sha256)
        peaks = peaks_name(recording.path)
        if self._store.exists(peaks):
            digest = self._store.digest(peaks)
            yield StoredFile(name=peaks, sha256=digest, size_bytes=self._store.size(peaks), content_sha256=digest)

    def _erase(self) -> None:
        """Deletes the files of all certificates that are not known to be gone."""
        with self._database.reading() as session:
            waiting = [
                (row.number, row.call_id, [item["name"] for item in row.files]) for row in rows.unerased(session)
            ]
        for number, call_id, names in waiting:
            if call_id:
                settle(self._database, self._store, call_id=call_id)
            for name in names:
                self._store.delete(name)
            with self._database.transaction() as session:
                session.get_one(DeletionCertificate, number).erased_at = self._clock.now()


class RetentionJobs:
    """The daily run as a job of the worker."""

    def __init__(self, retention: Retention, *, settings: Settings, database: Database, jobs: Jobs, clock: Clock):
        self._retention = retention
        self._max_gap_days = settings.privacy.retention_gap_days
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._warned = False
        self._next = 0.0

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {JOB: self.retain}

    def retain(self) -> None:
        """The run, where it is still due."""
        with self._jobs.lease(LEASE):
            if self._state() == "due":
                self._retention.run(actor=SYSTEM)

    def sweep(self) -> None:
        """Hands in the daily run where it is due, however many days were missed."""
        state = self._state()
        if state == "clock" and not self._warned:
            log.error("long since the last retention, or a wrong clock: check it, and run `hotline retention run`")
        self._warned = state == "clock"
        if state == "due" and self._clock.monotonic() >= self._next and not self._jobs.leased(LEASE):
            self._jobs.enqueue(JOB)
            self._next = self._clock.monotonic() + AGAIN_S

    def _state(self) -> str:
        with self._database.reading() as session:
            last = rows.last_run(session)
        return schedule(last, self._clock.now(), max_gap_days=self._max_gap_days)


def place_hold(session: Session, subject: str, *, reason: str, actor: str, now: datetime) -> LegalHold:
    """Keeps a ticket's call, or a call by its id, from deletion. Raises `NotFoundError`, `ConflictError` where it is
    held already or its recording is deleted, `InvalidInputError` without a reason."""
    reason = _reason(reason)
    call = rows.locked_call(session, call_of(session, subject))
    assert call is not None
    if rows.hold_of(session, call.id) is not None:
        raise ConflictError(f"{subject} 已在保全中")
    number = rows.certificate_of_call(session, call.id)
    if number is not None:
        raise ConflictError(f"{subject} 的录音已删除，见删除证书 {number}")
    hold = LegalHold(call_id=call.id, reason=reason, placed_by=actor, placed_at=now)
    session.add(hold)
    session.flush()
    return hold


def release_hold(session: Session, subject: str, *, reason: str, actor: str, now: datetime) -> LegalHold:
    """Ends a hold; raises as `place_hold`."""
    reason = _reason(reason)
    hold = rows.hold_of(session, call_of(session, subject))
    if hold is None:
        raise ConflictError(f"{subject} 不在保全中")
    hold.released_by, hold.released_at, hold.release_reason = actor, now, reason
    return hold


def call_of(session: Session, subject: str) -> str:
    """The call of a ticket's number, or of a call's id; raises `NotFoundError`."""
    ticket = find_ticket(session, subject.upper())
    call_id = ticket.call_id if ticket else subject
    if call_id is None or session.get(Call, call_id) is None:
        raise NotFoundError(f"没有工单或通话 {subject[:40]}")
    return call_id


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not 2 <= len(reason) <= MAX_REASON:
        raise InvalidInputError(f"须填写原因（2 至 {MAX_REASON} 字）")
    return reason


def _ticket_about(session: Session, call_id: str) -> Ticket | None:
    """The ticket that the call became, or that a survey's call asked about."""
    attempt = find_attempt(session, call_id)
    return attempt.survey.ticket if attempt is not None else ticket_of_call(session, call_id)


def _ended(ticket: Ticket) -> bool:
    return ticket.state in ENDED and UNDER_APPEAL not in ticket.flags


def _plain(file: StoredFile) -> dict[str, Any]:
    return {"name": file.name, "sha256": file.sha256, "size_bytes": file.size_bytes}
