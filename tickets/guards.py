"""What forbids a command though the state would allow it: how often, until when. Pure.

- A return is asked for before the deadline of signing in, and once by each unit.
- An extension is granted once, asked for before the reply is due, and no longer than the reply's own period; the caller
  knows of it.
- Not solved: the unit does it over, so often as the site says; after that it is under supervision.
- A unit appeals once against the counting of a ticket; it is decided before the ticket is archived. A ticket is
  excluded with a code.
- A person who closes a ticket without a call-back that was answered says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hotline.errors import ConflictError, InvalidInputError
from tickets.appeal_rules import EXCLUDED, UNDER_APPEAL, has_appealed
from tickets.clocks import Clock, length_of, read_clock
from tickets.command_rules import Arguments, AskExtensionArguments, DecideAppealArguments, FlagArguments
from tickets.deadlines import parse_period
from tickets.lifecycle import Command
from tickets.ticket_clocks import Happened
from tickets.working_time import WorkingTime

ANSWERED = frozenset({"surveyed", "call_back"})
"""Events that tell what the caller said when called back."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A ticket at the moment of a command. `unit`: the lead; `passes`: how often it was done, this time counted."""

    unit: str
    passes: int
    flags: Sequence[str]
    events: Sequence[Happened]
    sign_in: Clock | None
    reply: Clock | None
    max_redos: int
    by_person: bool
    reason: str
    now: datetime
    working: WorkingTime


Guard = Callable[[Situation, Arguments], None]


def check_guards(command: Command, situation: Situation, arguments: Arguments) -> None:
    """Raises `ConflictError`, or `InvalidInputError` for what the command says, naming the rule."""
    guard = GUARDS.get(command)
    if guard is not None:
        guard(situation, arguments)


def _return(situation: Situation, _arguments: Arguments) -> None:
    if situation.sign_in is not None and _is_late(situation.sign_in, situation):
        raise ConflictError("签收时限已过，不能申请退单", hint="请签收后办理，或提请会商")
    asked = [event for event in situation.events if event.kind == Command.ASK_RETURN.value]
    if any(event.data.get("unit") == situation.unit for event in asked):
        raise ConflictError("本单位已对此工单申请过退单，不能再次申请", hint="请签收办理；有争议的请提请会商")


def _extension(situation: Situation, arguments: Arguments) -> None:
    assert isinstance(arguments, AskExtensionArguments)
    clock = situation.reply
    if clock is None:
        raise ConflictError("答复时限尚未开始计时，不能申请延期")
    if clock.extension is not None:
        raise ConflictError("此工单已延期一次，不能再次延期", hint="确有困难的请提请会商或挂账")
    if _is_late(clock, situation):
        raise ConflictError("答复时限已过，不能申请延期", hint="延期须在到期前申请")
    wanted = parse_period(arguments.period)
    if length_of(wanted, situation.working) > length_of(clock.period, situation.working):
        raise InvalidInputError(f"延期不能超过原时限（{clock.period}）")
    if not arguments.told_caller:
        raise InvalidInputError("延期须先向诉求人说明原因", hint="请联系诉求人后再申请")


def _redo(situation: Situation, _arguments: Arguments) -> None:
    if situation.passes > situation.max_redos:
        raise ConflictError(f"已重办 {situation.passes - 1} 次，应转督办")


def _supervise(situation: Situation, _arguments: Arguments) -> None:
    if situation.passes <= situation.max_redos:
        raise ConflictError("尚未重办，不能转督办", hint="先重办；仍未解决的转督办")


def _close(situation: Situation, _arguments: Arguments) -> None:
    kinds = [event.kind for event in situation.events]
    since = len(kinds) - kinds[::-1].index(Command.APPROVE.value) if Command.APPROVE.value in kinds else 0
    if situation.by_person and not ANSWERED & set(kinds[since:]) and len(situation.reason) < 2:
        raise InvalidInputError("没有回访结果，办结必须说明原因", hint="先回访，或写明为何不回访")


def _flag(situation: Situation, arguments: Arguments) -> None:
    assert isinstance(arguments, FlagArguments)
    if arguments.flag in situation.flags:
        raise ConflictError("工单已有这个标记")
    if arguments.flag == EXCLUDED and not arguments.code and situation.by_person:
        raise InvalidInputError("不计入考核必须选择理由")


def _unflag(situation: Situation, arguments: Arguments) -> None:
    assert isinstance(arguments, FlagArguments)
    if arguments.flag not in situation.flags:
        raise ConflictError("工单没有这个标记")


def _appeal(situation: Situation, _arguments: Arguments) -> None:
    if not situation.unit:
        raise ConflictError("工单没有承办单位，不能申诉")
    if UNDER_APPEAL in situation.flags:
        raise ConflictError("工单已有待裁定的申诉")
    if has_appealed(situation.events, situation.unit):
        raise ConflictError("此工单的申诉已裁定过，不能再次申诉")


def _decide_appeal(situation: Situation, arguments: Arguments) -> None:
    assert isinstance(arguments, DecideAppealArguments)
    if UNDER_APPEAL not in situation.flags:
        raise ConflictError("工单没有待裁定的申诉", hint="请刷新页面后重试")
    if arguments.granted and not arguments.code:
        raise InvalidInputError("同意申诉必须选择不计入考核的理由")


def _archive(situation: Situation, _arguments: Arguments) -> None:
    if UNDER_APPEAL in situation.flags:
        raise ConflictError("申诉尚未裁定，不能归档", hint="请先裁定申诉")


def _is_late(clock: Clock, situation: Situation) -> bool:
    now = max(situation.now, clock.started_at)
    due = read_clock(clock, situation.working, now=now).due_at
    return due is not None and now > due


GUARDS: Mapping[Command, Guard] = {
    Command.ASK_RETURN: _return,
    Command.ASK_EXTENSION: _extension,
    Command.REDO: _redo,
    Command.SUPERVISE: _supervise,
    Command.CLOSE: _close,
    Command.FLAG: _flag,
    Command.UNFLAG: _unflag,
    Command.APPEAL: _appeal,
    Command.DECIDE_APPEAL: _decide_appeal,
    Command.ARCHIVE: _archive,
}
