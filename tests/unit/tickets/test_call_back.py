from dataclasses import dataclass

import pytest

from tickets.call_back import judge
from tickets.lifecycle import Command


@dataclass(frozen=True)
class Asked:
    state: str = "completed"
    solved: str = "yes"
    satisfied: str = "satisfied"


HAPPY, UNREACHED = Asked(), Asked("not_reached", "", "")


@pytest.mark.parametrize(
    ("asked", "passes", "command"),
    [
        ([HAPPY], 1, Command.CLOSE),
        ([Asked(satisfied="basically")], 1, Command.CLOSE),
        ([Asked(state="partial", satisfied="")], 1, Command.CLOSE),
        ([HAPPY, UNREACHED], 1, Command.CLOSE),
        ([HAPPY, Asked(solved="no")], 1, Command.REDO),
        ([Asked(satisfied="not_satisfied")], 1, Command.REDO),
        ([Asked(solved="no")], 2, Command.SUPERVISE),
        ([Asked(solved="no")], 3, None),  # a person decides
        ([UNREACHED], 1, None),
        ([], 1, None),
        ([HAPPY, Asked("scheduled", "", "")], 1, None),
        ([Asked("cancelled", "no", "")], 1, None),
    ],
)
def test_the_answers_of_all_callers_decide(asked: list[Asked], passes: int, command: Command | None) -> None:
    verdict = judge(asked, passes=passes, max_redos=1)
    assert (verdict.command if verdict else None) is command
    assert verdict is None or verdict.reason.strip()
