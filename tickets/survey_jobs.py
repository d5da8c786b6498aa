"""Places the calls of due surveys and learns what became of those that nobody took.

State is in rows only: an attempt is a row before its command is sent, and the command's id is the attempt's, so a
worker that is killed anywhere, or two at once, ring nobody twice.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from hotline.clock import Clock
from hotline.commands import Command, Commands
from hotline.db import Database
from hotline.jobs import Jobs
from hotline.settings import Settings
from tickets import survey_repository as surveys
from tickets.survey import TICKET_VARIABLE, begin_attempt, end_attempt, lose_attempts
from tickets.survey_models import SurveyAttempt
from tickets.survey_rules import Outcome, load_survey

log = logging.getLogger(__name__)

LEASE = "surveys"
ACTOR = "survey"
FAILURES = frozenset({Outcome.BUSY, Outcome.NO_ANSWER, Outcome.REJECTED, Outcome.UNREACHABLE, Outcome.ERROR})


class SurveyJobs:
    """The jobs with what they work on. Raises `ConfigurationError` where the survey's flow is wrong."""

    def __init__(self, *, settings: Settings, database: Database, jobs: Jobs, commands: Commands, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._commands = commands
        self._clock = clock
        self._plan = load_survey(settings)

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {"outgoing_failed": self.outgoing_failed}

    def outgoing_failed(
        self, call_id: str, flow: str, number: str, variables: dict[str, str], reason: str, at: str
    ) -> None:
        """A call of a flow that nobody took: the next attempt is due, or none is left."""
        outcome = Outcome(reason) if reason in FAILURES else Outcome.ERROR
        with self._database.transaction() as session:
            attempt = surveys.find_attempt(session, call_id)
            if attempt is not None:
                end_attempt(session, attempt, outcome, plan=self._plan, now=self._clock.now())
        known = "a survey's" if attempt else "nobody's"
        log.info("call %s of flow %s was not taken: %s (%s attempt)", call_id, flow, outcome.value, known)

    def sweep(self) -> None:
        """Gives up what was lost, begins what is due, sends what is not sent. One worker at a time does so.

        Raises `UnavailableError` while database or broker are away.
        """
        if self._jobs.leased(LEASE):
            return
        with self._jobs.lease(LEASE):
            self._give_up()
            self._begin()
            self._send()

    def _give_up(self) -> None:
        now = self._clock.now()
        patience = timedelta(seconds=self._settings.media.max_call_s + self._settings.surveys.lost_after_s)
        with self._database.reading() as session:
            sent = [item.id for item in surveys.attempts_under_way(session) if item.sent_at is not None]
        refused = [call_id for call_id in sent if self._refused(call_id)]
        with self._database.transaction() as session:
            for call_id in refused:
                attempt = session.get_one(SurveyAttempt, call_id)
                end_attempt(session, attempt, Outcome.ERROR, plan=self._plan, now=now)
            lost = lose_attempts(session, before=now - patience, plan=self._plan, now=now)
        if lost:
            log.warning("nothing was heard of %d survey calls: they count as lost", lost)

    def _refused(self, call_id: str) -> bool:
        outcome = self._commands.outcome(call_id)
        if outcome is None or outcome.done:
            return False
        log.warning("survey call %s was not placed: %s", call_id, outcome.error)
        return True

    def _begin(self) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            free = self._settings.surveys.max_calls - len(surveys.attempts_under_way(session))
            for survey in surveys.due_surveys(session, now, limit=max(0, free)):
                begin_attempt(session, survey, plan=self._plan, now=now)

    def _send(self) -> None:
        with self._database.reading() as session:
            unsent = [item for item in surveys.attempts_under_way(session) if item.sent_at is None]
            commands = [self._command(item, ticket=item.survey.ticket.number) for item in unsent]
        for command in commands:
            self._commands.send(command)
            with self._database.transaction() as session:
                session.get_one(SurveyAttempt, command.id).sent_at = self._clock.now()

    def _command(self, attempt: SurveyAttempt, *, ticket: str) -> Command:
        arguments = {
            "flow": self._plan.flow,
            "number": attempt.survey.phone,
            "variables": {TICKET_VARIABLE: ticket},
        }
        return Command(
            id=attempt.id,
            name="start_flow",
            call_id=attempt.id,
            arguments=arguments,
            actor=ACTOR,
            at=self._clock.now(),
        )
