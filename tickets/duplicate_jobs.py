"""Looks for what a new ticket may be again, and takes the decision. Suggests; a person merges."""

import logging
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConflictError, NotFoundError
from hotline.jobs import Jobs
from hotline.settings_sections import DuplicateSettings
from tickets import duplicate_repository as duplicates
from tickets.access import Viewer
from tickets.commands import CommandRequest, Desk, perform
from tickets.duplicate_models import DuplicateCheck, DuplicateSuggestion
from tickets.duplicates import find_duplicates
from tickets.lifecycle import Command, State
from tickets.repository import lock_ticket
from tickets.roles import Actor

log = logging.getLogger(__name__)

LEASE = "duplicates"
BATCH = 50  # tickets of a sweep
CATCH_UP = timedelta(days=1)  # older tickets are not new: imported ones, or those of a long stop


class DuplicateJobs:
    """The worker's part. A ticket is looked at soon after it was made, from whichever side it came."""

    def __init__(self, *, settings: DuplicateSettings, database: Database, jobs: Jobs, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._clock = clock

    def sweep(self) -> None:
        """Compares the tickets that are new, each in a transaction of its own and once. One worker at a time does so.

        Raises `UnavailableError` while database or broker are away; what is missed is caught up within a day.
        """
        since = self._clock.now() - CATCH_UP
        with self._database.reading() as session:
            waiting = duplicates.unchecked_tickets(session, since=since, limit=BATCH)
        if not waiting or self._jobs.leased(LEASE):
            return
        with self._jobs.lease(LEASE):
            for ticket_id in waiting:
                self._check(ticket_id)
        with self._database.transaction() as session:
            duplicates.forget_checks(session, before=since - CATCH_UP)

    def _check(self, ticket_id: int) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            if session.get(DuplicateCheck, ticket_id) is not None:  # by another worker, meanwhile
                return
            found = suggest(session, ticket_id, settings=self._settings, now=now)
            session.add(DuplicateCheck(ticket_id=ticket_id, checked_at=now))
        if found:
            log.info("ticket %d may be about the matter of %d others", ticket_id, found)


def suggest(session: Session, ticket_id: int, *, settings: DuplicateSettings, now: datetime) -> int:
    """Writes what is found; how many suggestions are new. A ticket that is gone or at its end has none."""
    matter = duplicates.matter_of(session, ticket_id)
    if matter is None:
        return 0
    block = duplicates.block_of(session, matter, days=settings.days, limit=settings.max_compared)
    found = find_duplicates(matter, block, at_least=settings.at_least, most=settings.max_suggestions)
    known = duplicates.pairs_of(session, ticket_id)
    new = [each for each in found if each.other.ticket_id not in known]
    session.add_all(
        DuplicateSuggestion(
            ticket_id=max(ticket_id, each.other.ticket_id),
            other_id=min(ticket_id, each.other.ticket_id),
            score=each.score,
            reasons=[reason.to_data() for reason in each.reasons],
            created_at=now,
        )
        for each in new
    )
    session.flush()
    return len(new)


def dismiss(session: Session, suggestion_id: int, *, viewer: Viewer, now: datetime) -> DuplicateSuggestion:
    """It is another matter: the pair is not suggested again. Dismissing twice changes nothing.

    Raises `NotFoundError` where the person sees no such suggestion, `ConflictError` where it was accepted.
    """
    suggestion = open_suggestion(session, suggestion_id, viewer)
    if suggestion.state == "open":
        _decide(suggestion, "dismissed", viewer, now)
    return suggestion


def accept(
    session: Session, suggestion_id: int, *, viewer: Viewer, actor: Actor, desk: Desk, now: datetime
) -> DuplicateSuggestion:
    """Merges the later ticket into the earlier one, by the command that everybody's merging goes through, and so with
    its rules; both callers keep their call-back. Accepting twice changes nothing.

    Raises `NotFoundError` where the person sees no such suggestion, `ConflictError` where it was dismissed or the state
    of a ticket does not allow it, `ForbiddenError` for who may not merge.
    """
    suggestion = duplicates.find_suggestion(session, suggestion_id, viewer)
    if suggestion is None:
        raise NotFoundError("没有这条并单建议")
    if suggestion.state == "dismissed":
        raise ConflictError("这条建议已被否定", hint="请刷新页面")
    if suggestion.state == "accepted":
        return suggestion
    ticket = lock_ticket(session, suggestion.ticket.number, viewer)
    reason = f"并单建议 {suggestion.id}：与 {suggestion.other.number} 为同一事项"
    key = f"duplicate-{suggestion.id}"
    if ticket.state == State.TO_DISPATCH:  # accepted by rule when the call ended: a merge begins at acceptance
        again = CommandRequest(Command.RECONSIDER, reason=reason, key=f"{key}-again")
        perform(session, ticket, again, actor=actor, desk=desk, now=now)
    merge = CommandRequest(Command.MERGE, {"into": suggestion.other.number}, reason=reason, key=key)
    perform(session, ticket, merge, actor=actor, desk=desk, now=now)
    _decide(suggestion, "accepted", viewer, now)
    return suggestion


def open_suggestion(session: Session, suggestion_id: int, viewer: Viewer) -> DuplicateSuggestion:
    """One that may still be dismissed; raises as `dismiss` does."""
    suggestion = duplicates.find_suggestion(session, suggestion_id, viewer)
    if suggestion is None:
        raise NotFoundError("没有这条并单建议")
    if suggestion.state == "accepted":
        raise ConflictError("这条建议已经并单", hint="请刷新页面")
    return suggestion


def _decide(suggestion: DuplicateSuggestion, state: str, viewer: Viewer, now: datetime) -> None:
    suggestion.state, suggestion.decided_by, suggestion.decided_at = state, viewer.username, now
