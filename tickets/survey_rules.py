"""When a call-back survey is tried, and what has become of it. Pure.

| state | meaning |
|---|---|
| scheduled | the next attempt is due at `due_at` |
| calling | an attempt is under way |
| completed | every question was answered |
| partial | no attempt is left and some questions were answered |
| not_reached | no attempt is left, or there was no number to ring, and nothing was answered |
| cancelled | the ticket went on without it |

Every attempt counts, also one that failed on our side: nobody is rung more often than the flow says.
"""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from ivr.announcements.prompts import PromptLibrary
from ivr.menu.hours import AttemptRule
from ivr.menu.loader import load_flow


class SurveyState(StrEnum):
    """Where a survey is. The value is what the database holds."""

    SCHEDULED = "scheduled"
    CALLING = "calling"
    COMPLETED = "completed"
    PARTIAL = "partial"
    NOT_REACHED = "not_reached"
    CANCELLED = "cancelled"

    @property
    def label(self) -> str:
        """What people see."""
        return STATE_LABELS[self]


STATE_LABELS = {
    SurveyState.SCHEDULED: "待拨打",
    SurveyState.CALLING: "拨打中",
    SurveyState.COMPLETED: "已完成",
    SurveyState.PARTIAL: "部分回答",
    SurveyState.NOT_REACHED: "未接通",
    SurveyState.CANCELLED: "已取消",
}
OPEN = (SurveyState.SCHEDULED, SurveyState.CALLING)


class Outcome(StrEnum):
    """What became of an attempt: of a call that was taken, or why it was not."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    SILENT = "silent"  # taken, but no question was answered
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    ERROR = "error"
    LOST = "lost"  # nothing was heard of it


@dataclass(frozen=True)
class SurveyPlan:
    """What the survey's flow asks and how often it is tried; hours are those of `zone`."""

    flow: str
    questions: tuple[str, ...]
    rule: AttemptRule
    zone: ZoneInfo

    def next_attempt(self, *, made: int, last: datetime | None, now: datetime) -> datetime | None:
        """When to ring (again); None: no more."""
        local_last = None if last is None else last.astimezone(self.zone)
        return self.rule.next_attempt(made=made, last=local_last, now=now.astimezone(self.zone))

    def settle(
        self, *, answered: Set[str], made: int, last: datetime | None, now: datetime
    ) -> tuple[SurveyState, datetime | None]:
        """The survey's state, and when it is due, once no attempt is under way."""
        if answered >= set(self.questions):
            return SurveyState.COMPLETED, None
        due = self.next_attempt(made=made, last=last, now=now)
        if due is not None:
            return SurveyState.SCHEDULED, due
        return (SurveyState.PARTIAL if answered else SurveyState.NOT_REACHED), None

    def outcome(self, answered: Set[str]) -> Outcome:
        """What a call that was taken came to."""
        if answered >= set(self.questions):
            return Outcome.COMPLETED
        return Outcome.PARTIAL if answered else Outcome.SILENT


@lru_cache(maxsize=1)
def load_survey(settings: Settings) -> SurveyPlan:
    """The site's survey, read once a process; raises `ConfigurationError` where its flow is none."""
    path = settings.flow.survey_path
    flow = load_flow(path, prompts=frozenset(PromptLibrary.load(settings.flow.prompts_dir).names))
    questions = tuple(state.survey.question for state in flow.states.values() if state.survey is not None)
    if flow.attempts is None or not questions:
        raise ConfigurationError(f"{path}: a survey's flow needs `attempts` and states of kind survey")
    return SurveyPlan(flow.name, tuple(dict.fromkeys(questions)), flow.attempts, settings.zone)
