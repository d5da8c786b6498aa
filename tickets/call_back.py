"""What the callers' answers mean for a ticket. Pure.

- All of them are asked; while one is still to be rung, nothing is decided.
- Not solved, or not satisfied, by one of them: it is done over, so often as the site says; then it is supervised; after
  that a person decides.
- Solved by all who answered: it is closed.
- Nobody answered: a person decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tickets.lifecycle import Command
from tickets.survey_rules import OPEN, SurveyState

UNREASONABLE = "unreasonable"  # a ticket so flagged is left to people
NOT_SATISFIED = "not_satisfied"


class Asked(Protocol):
    """What is read of a survey."""

    @property
    def state(self) -> str: ...

    @property
    def solved(self) -> str: ...

    @property
    def satisfied(self) -> str: ...


@dataclass(frozen=True)
class Verdict:
    """The command that the answers ask for, and why."""

    command: Command
    reason: str


def judge(asked: Iterable[Asked], *, passes: int, max_redos: int) -> Verdict | None:
    """`asked`: the surveys of this pass; None where something is still to come, or a person decides."""
    surveys = [item for item in asked if item.state != SurveyState.CANCELLED]
    if not surveys or any(item.state in OPEN for item in surveys):
        return None
    if any(item.solved == "no" for item in surveys):
        why = "回访：诉求未解决"
    elif any(item.satisfied == NOT_SATISFIED for item in surveys):
        why = "回访：诉求人不满意"
    elif any(item.solved == "yes" for item in surveys):
        return Verdict(Command.CLOSE, "回访：已解决")
    else:
        return None
    if passes <= max_redos:
        return Verdict(Command.REDO, why)
    return Verdict(Command.SUPERVISE, f"重办后{why}") if passes == max_redos + 1 else None
