"""Call-back surveys from the ticket to the answers, on rows that survive a killed worker."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ingest_rig import Site, leave_call, make_site
from sqlalchemy import select
from ticket_people import give, seed_units

from hotline.commands import Command, MemoryCommands, Outcome
from hotline.db import Database
from hotline.errors import ConflictError, NotFoundError, UnavailableError
from hotline.settings import Settings
from tickets.commands import load_desk
from tickets.lifecycle import Command as Step
from tickets.models import Ticket
from tickets.survey import start_survey
from tickets.survey_jobs import SurveyJobs
from tickets.survey_models import Survey, SurveyAnswer, SurveyAttempt
from tickets.survey_rules import load_survey

ANSWERS = (("contacted", "yes"), ("solved", "no"), ("satisfied", "not_satisfied"))
TUESDAY = datetime.fromisoformat("2026-01-06T09:30:00+08:00")


@dataclass
class Outbox(MemoryCommands):
    """Commands that were sent; `away`: the broker does not answer."""

    sent: list[Command] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    away: bool = False

    def send(self, command: Command, *, node: str | None = None) -> None:
        if self.away:
            raise UnavailableError("broker")
        assert node is None
        self.sent.append(Command.parse(command.serialize()))

    def outcome(self, command_id: str) -> Outcome | None:
        return self.outcomes.get(command_id)


@dataclass
class Desk:
    """A worker, a ticket that waits for its call-back, and what was sent."""

    site: Site
    outbox: Outbox

    def jobs(self) -> SurveyJobs:
        return SurveyJobs(
            settings=self.site.settings,
            database=self.site.database,
            jobs=self.site.queue,
            commands=self.outbox,
            clock=self.site.clock,
        )

    def sweep(self) -> list[Command]:
        before = len(self.outbox.sent)
        self.jobs().sweep()
        return self.outbox.sent[before:]

    def survey(self) -> Survey:
        with self.site.database.reading() as session:
            return session.scalars(select(Survey).order_by(Survey.id.desc())).first() or pytest.fail("no survey")

    def outcomes(self) -> list[str]:
        with self.site.database.reading() as session:
            return list(session.scalars(select(SurveyAttempt.outcome).order_by(SurveyAttempt.number)))

    def answers(self) -> list[SurveyAnswer]:
        with self.site.database.reading() as session:
            return list(session.scalars(select(SurveyAnswer).order_by(SurveyAnswer.id)))

    def ticket(self) -> Ticket:
        ticket = self.site.ticket()
        assert ticket is not None
        return ticket

    def event_kinds(self) -> list[str]:
        return [event.kind for event in self.ticket().events if event.kind.startswith("survey")]

    def fail(self, command: Command, reason: str) -> None:
        arguments = {**command.arguments, "reason": reason, "at": self.site.clock.now().isoformat()}
        self.jobs().outgoing_failed(command.call_id, **arguments)

    def answer(self, call_id: str, answers: tuple[tuple[str, str], ...] = ANSWERS, **entry: Any) -> None:
        """A survey's call ends: its journal is taken in."""
        given = tuple(
            ("survey", {"question": question, "answer": answer, "means": "key", "offset_ms": 5000, **entry})
            for question, answer in answers
        )
        opened = {
            "direction": "out",
            "purpose": "flow",
            "flow": "survey",
            "variables": {"ticket": self.ticket().number},
        }
        leave_call(self.site, said=("联系 了",), demand=False, call_id=call_id, opened=opened, happened=given)
        self.site.ingest(f"n1/{call_id}.jsonl")

    def step(self, *steps: Step) -> None:
        desk = load_desk(self.site.settings)
        with self.site.database.transaction() as session:
            ticket = session.scalars(select(Ticket)).one()
            for step in steps:
                give(session, ticket, step, desk=desk, now=self.site.clock.now())


@pytest.fixture
def desk(database: Database, settings: Settings, tmp_path: Path) -> Desk:
    site = make_site(database, settings, tmp_path)
    leave_call(site)
    site.ingest()
    site.clock.at = TUESDAY
    with database.transaction() as session:
        seed_units(session)
    desk = Desk(site, Outbox())
    desk.step(Step.DISPATCH, Step.SIGN_IN, Step.SUBMIT, Step.APPROVE)
    return desk


def test_a_ticket_that_waits_for_its_call_back_is_surveyed(desk: Desk) -> None:
    (command,) = desk.sweep()
    assert command.name == "start_flow"
    assert command.id == command.call_id
    assert command.arguments == {
        "flow": "survey",
        "number": "13910001234",
        "variables": {"ticket": desk.ticket().number},
    }
    assert desk.sweep() == []
    assert desk.survey().state == "calling"
    desk.answer(command.call_id, means="voice")
    survey = desk.survey()
    assert (survey.state, survey.contacted, survey.solved, survey.satisfied) == (
        *("completed", "yes", "no", "not_satisfied"),
    )
    assert [(a.question, a.answer, a.means, a.offset_ms, a.call_id) for a in desk.answers()] == [
        (question, answer, "voice", 5000, command.call_id) for question, answer in ANSWERS
    ]
    assert desk.outcomes() == ["completed"]
    assert desk.event_kinds() == ["survey_scheduled", "survey_attempted", "surveyed"]
    told, redo = desk.ticket().events[-2:]
    assert (redo.kind, redo.actor, redo.reason) == ("redo", "system", "回访：诉求未解决")
    assert told.data["answers"]["solved"]["call_id"] == command.call_id
    assert "13910001234" not in str([event.data for event in desk.ticket().events if event.kind != "fields_extracted"])
    assert (desk.ticket().state, desk.ticket().passes) == ("to_sign", 2)
    assert desk.site.count(Ticket) == 1
    desk.site.clock.advance(7 * 86400)
    assert desk.sweep() == []


def test_taking_the_call_in_twice_changes_nothing(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.answer(command.call_id)
    events = len(desk.ticket().events)
    desk.answer(command.call_id)
    assert len(desk.answers()) == 3
    assert len(desk.ticket().events) == events


def test_the_last_answer_to_a_question_counts(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.answer(command.call_id, (("contacted", "yes"), ("contacted", "no")))
    assert [(answer.question, answer.answer) for answer in desk.answers()] == [("contacted", "no")]
    assert desk.survey().contacted == "no"


def test_three_times_nobody_takes_the_call(desk: Desk) -> None:
    reasons = ["busy", "no_answer", "something new"]
    begun = []
    for reason in reasons:
        (command,) = desk.sweep()
        begun.append(desk.site.clock.now().astimezone(TUESDAY.tzinfo))
        desk.fail(command, reason)
        desk.fail(command, "rejected")  # delivered twice
        assert desk.sweep() == []
        due = desk.survey().due_at
        if due is not None:
            desk.site.clock.at = due
    assert [moment.strftime("%d %H:%M") for moment in begun] == ["06 09:30", "06 14:30", "07 09:00"]
    assert (desk.survey().state, desk.survey().attempts) == ("not_reached", 3)
    assert desk.outcomes() == ["busy", "no_answer", "error"]
    assert desk.event_kinds() == ["survey_scheduled", *["survey_attempted"] * 3, "survey_not_reached"]
    assert desk.ticket().state == "to_call_back"


def test_who_hangs_up_half_way_is_tried_again_and_the_answers_stay(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.answer(command.call_id, ANSWERS[:1])
    assert (desk.survey().state, desk.survey().contacted) == ("scheduled", "yes")
    desk.site.clock.at = desk.survey().due_at or TUESDAY
    (second,) = desk.sweep()
    desk.answer(second.call_id, ())
    desk.site.clock.at = desk.survey().due_at or TUESDAY
    (third,) = desk.sweep()
    desk.fail(third, "no_answer")
    assert desk.survey().state == "partial"
    assert desk.outcomes() == ["partial", "silent", "no_answer"]


def test_nobody_is_rung_when_the_hours_are_over(desk: Desk) -> None:
    desk.site.clock.at = TUESDAY.replace(hour=20)
    assert desk.sweep() == []
    assert desk.survey().due_at == TUESDAY.replace(hour=9, minute=0) + timedelta(days=1)
    assert desk.survey().attempts == 0


def test_an_attempt_of_which_nothing_is_heard_is_lost_and_tried_again(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.site.clock.at = TUESDAY.replace(hour=15)
    assert len(desk.sweep()) == 1
    assert desk.outcomes() == ["lost", ""]
    desk.answer(command.call_id)  # its journal was only late
    assert desk.outcomes() == ["completed", ""]
    assert desk.survey().state == "completed"


def test_a_command_that_was_refused_is_a_failed_attempt(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.outbox.outcomes[command.id] = Outcome("start_flow is 31.0 s old; valid are 30 s")
    desk.sweep()
    assert desk.outcomes() == ["error"]
    assert desk.survey().state == "scheduled"


def test_a_command_that_could_not_be_sent_is_sent_under_the_same_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.outbox.away = True
    with pytest.raises(UnavailableError):
        desk.sweep()
    with desk.site.database.reading() as session:
        begun = session.scalars(select(SurveyAttempt.id)).one()
    desk.outbox.away = False
    assert [command.id for command in desk.sweep()] == [begun]
    assert desk.sweep() == []


def test_only_so_many_are_called_at_once(desk: Desk) -> None:
    few = desk.site.settings.surveys.model_copy(update={"max_calls": 0})
    desk.site.settings = desk.site.settings.model_copy(update={"surveys": few})
    assert desk.sweep() == []
    assert desk.survey().state == "scheduled"


def test_one_worker_at_a_time_sweeps(desk: Desk) -> None:
    with desk.site.queue.lease("surveys"):
        assert desk.sweep() == []
    assert len(desk.sweep()) == 1


def test_a_ticket_that_goes_on_without_its_call_back_needs_none(desk: Desk) -> None:
    desk.step(Step.CLOSE)
    assert desk.survey().state == "cancelled"
    assert desk.sweep() == []
    assert desk.event_kinds() == ["survey_scheduled", "survey_cancelled"]


def test_each_pass_of_a_ticket_has_its_own_survey(desk: Desk) -> None:
    (command,) = desk.sweep()
    desk.answer(command.call_id)
    desk.step(Step.SIGN_IN, Step.SUBMIT, Step.APPROVE)
    assert (desk.survey().pass_number, desk.survey().state) == (2, "scheduled")
    assert desk.ticket().events[-2].kind == "approve"
    assert desk.ticket().events[-2].actor == "shen"


def test_a_person_may_start_one_and_it_is_the_open_one_where_there_is_one(desk: Desk) -> None:
    plan, number = load_survey(desk.site.settings), desk.ticket().number
    with desk.site.database.transaction() as session:
        again = start_survey(session, number, plan=plan, now=desk.site.clock.now(), actor="cli")
        assert again.id == desk.survey().id
        with pytest.raises(NotFoundError):
            start_survey(session, "YQ20260105000026", plan=plan, now=TUESDAY, actor="cli")


def test_who_left_no_number_cannot_be_asked(desk: Desk) -> None:
    desk.step(Step.CLOSE)
    plan = load_survey(desk.site.settings)
    with desk.site.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        ticket.phone = "anonymous"
        with pytest.raises(ConflictError, match="没有可以拨打的联系电话"):
            start_survey(session, ticket.number, plan=plan, now=TUESDAY, actor="cli")
        ticket.state = "to_review"
        give(session, ticket, Step.APPROVE, desk=load_desk(desk.site.settings), now=TUESDAY)
    assert desk.survey().state == "not_reached"
    assert desk.event_kinds()[-2:] == ["survey_scheduled", "survey_not_reached"]
    assert desk.sweep() == []


def test_a_survey_that_nobody_scheduled_answers_the_tickets_own(desk: Desk) -> None:
    desk.answer("byhand")
    assert (desk.survey().state, desk.survey().attempts) == ("completed", 0)
    assert desk.sweep() == []


def test_a_failed_call_that_is_no_survey_is_only_noted(desk: Desk) -> None:
    desk.jobs().outgoing_failed("other", "survey", "13900000000", {}, "busy", TUESDAY.isoformat())
    assert desk.outcomes() == []
