"""When a survey is tried and what has become of it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.settings_sections import FlowSettings
from tickets.survey_rules import Outcome, SurveyPlan, SurveyState, load_survey

PLAN = load_survey(Settings())
TUESDAY = datetime(2026, 1, 6, 1, 30, tzinfo=UTC)  # half past nine in Beijing


def test_the_plan_is_what_the_flow_says() -> None:
    assert (PLAN.flow, PLAN.questions) == ("survey", ("contacted", "solved", "satisfied"))
    assert (PLAN.rule.attempts, PLAN.rule.apart_s) == (3, 10_800)


def test_hours_are_those_of_the_site() -> None:
    night = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)
    assert PLAN.next_attempt(made=0, last=None, now=night) == datetime(2026, 1, 6, 1, 0, tzinfo=UTC)
    elsewhere = SurveyPlan(PLAN.flow, PLAN.questions, PLAN.rule, ZoneInfo("Asia/Urumqi"))
    assert elsewhere.next_attempt(made=0, last=None, now=night) == datetime(2026, 1, 6, 3, 0, tzinfo=UTC)


def test_nobody_is_rung_on_a_holiday() -> None:
    eve = datetime(2026, 9, 30, 12, 0, tzinfo=UTC)
    due = PLAN.next_attempt(made=0, last=None, now=eve)
    assert due is not None
    assert due.date() == date(2026, 10, 8)


@given(
    st.sets(st.sampled_from(PLAN.questions)),
    st.integers(0, 5),
    st.integers(0, 10**6).map(lambda seconds: TUESDAY + timedelta(seconds=seconds)),
)
def test_a_survey_ends_when_all_is_answered_or_no_attempt_is_left(answered: set[str], made: int, now: datetime) -> None:
    state, due = PLAN.settle(answered=answered, made=made, last=TUESDAY, now=now)
    if answered == set(PLAN.questions):
        assert (state, due) == (SurveyState.COMPLETED, None)
    elif made >= 3:
        assert (state, due) == (SurveyState.PARTIAL if answered else SurveyState.NOT_REACHED, None)
    else:
        assert state is SurveyState.SCHEDULED
        assert due is not None
        assert due >= max(now, TUESDAY + timedelta(hours=3))
        assert PLAN.rule.hours.is_open(due)


def test_what_a_taken_call_came_to() -> None:
    assert PLAN.outcome(set()) is Outcome.SILENT
    assert PLAN.outcome({"contacted"}) is Outcome.PARTIAL
    assert PLAN.outcome(set(PLAN.questions)) is Outcome.COMPLETED


def test_a_flow_that_asks_nothing_is_no_survey() -> None:
    settings = Settings(flow=FlowSettings(survey_path=FlowSettings().path))
    with pytest.raises(ConfigurationError, match=r"intake\.yaml: a survey's flow needs"):
        load_survey(settings)
