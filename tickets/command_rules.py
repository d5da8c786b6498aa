"""Who may give which command, and what it must say: one table. Pure.

A unit's people give theirs only to tickets that their unit leads (`LEAD`) or works on (`PART`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from hotline.errors import ForbiddenError, InvalidInputError
from tickets.appeal_rules import CODES
from tickets.lifecycle import Command
from tickets.roles import UNIT_ROLES, Actor, Role

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
PeriodText = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}(min|h|d|wd)$")]
AppealCode = Annotated[str, Field(pattern=rf"^({'|'.join(CODES)})$")]
MAX_REASON = 1000


class Arguments(BaseModel):
    """What a command says. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AnswerArguments(Arguments):
    reply: Said


class TransferArguments(Arguments):
    service: Literal["110", "119", "120"]


class MergeArguments(Arguments):
    into: Annotated[str, Field(min_length=16, max_length=16)]


class DispatchArguments(Arguments):
    """`basis`: by which rule; `readers`: whom of the units a confidential ticket is shown to."""

    unit: Code
    co_units: Annotated[tuple[Code, ...], Field(max_length=10)] = ()
    basis: Literal["catalogue", "direct", "first_responder", "division_of_duty", "district_office", "leader"] = "direct"
    suggested: Annotated[str, Field(max_length=32)] = ""
    readers: Annotated[tuple[Username, ...], Field(max_length=20)] = ()


class SignInArguments(Arguments):
    handler: Annotated[str, Field(max_length=64)] = ""


class ReturnArguments(Arguments):
    code: Literal["not_our_duty", "wrong_place", "needs_others", "incomplete", "duplicate", "other"]


class DeliberateArguments(Arguments):
    units: Annotated[tuple[Code, ...], Field(min_length=1, max_length=10)]
    question: Text = ""


class OpinionArguments(Arguments):
    opinion: Said


class ConcludeArguments(Arguments):
    decision: Said


class AskExtensionArguments(Arguments):
    """`told_caller`: the caller knows of it and why."""

    period: PeriodText
    told_caller: bool


class DecideExtensionArguments(Arguments):
    granted: bool


class SuspendArguments(Arguments):
    until: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""


class RecordArguments(Arguments):
    """What was done so far; what is not given stays. `fee_cents`: what the caller paid."""

    measures: Text | None = None
    result: Text | None = None
    reply: Text | None = None
    fee_cents: Annotated[int, Field(ge=0, le=100_000_000)] | None = None


class SubmitArguments(RecordArguments):
    result: Said


class ContactArguments(Arguments):
    method: Literal["phone", "visit", "message"]
    reached: bool
    note: Text = ""


class ArriveArguments(Arguments):
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    note: Text = ""


class TextArguments(Arguments):
    text: Said


class CallBackArguments(Arguments):
    """What a caller said to a person. `phone`: of which of the ticket's callers, empty for the first; the answers count
    where somebody was `reached`."""

    phone: Annotated[str, Field(max_length=64)] = ""
    reached: bool
    contacted: Literal["", "yes", "no"] = ""
    solved: Literal["", "yes", "no"] = ""
    satisfied: Literal["", "satisfied", "basically", "not_satisfied"] = ""
    note: Text = ""

    @model_validator(mode="after")
    def _says_something(self) -> "CallBackArguments":
        if self.reached and not (self.contacted and self.solved and self.satisfied):
            raise ValueError("an answer is missing")
        return self


class CloseArguments(Arguments):
    note: Text = ""


class FlagArguments(Arguments):
    """`readers`: the people named for a ticket that becomes confidential; `code`: of an exclusion, of `CODES`."""

    flag: Literal["confidential", "unreasonable", "excluded", "overdue", "emergency"]
    code: AppealCode | Literal[""] = ""
    readers: Annotated[tuple[Username, ...], Field(max_length=20)] = ()


class AppealArguments(Arguments):
    code: AppealCode


class DecideAppealArguments(Arguments):
    """`granted`: the ticket is excluded, with the code."""

    granted: bool
    code: AppealCode | Literal[""] = ""


class ReadersArguments(Arguments):
    readers: Annotated[tuple[Username, ...], Field(max_length=20)]


class EditArguments(Arguments):
    """The fields that a person puts right; what is not given stays."""

    category: Annotated[str, Field(max_length=64)] | None = None
    type: Annotated[str, Field(max_length=16)] | None = None
    tier: Annotated[str, Field(max_length=4)] | None = None
    overlay: Annotated[str, Field(max_length=64)] | None = None
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    content: Annotated[str, Field(max_length=20_000)] | None = None
    caller_name: Annotated[str, Field(max_length=64)] | None = None
    phone: Annotated[str, Field(pattern=r"^[0-9+\- ]{0,32}$")] | None = None
    place: Annotated[str, Field(max_length=64)] | None = None
    address: Annotated[str, Field(max_length=200)] | None = None
    town: Annotated[str, Field(max_length=64)] | None = None
    community: Annotated[str, Field(max_length=64)] | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    caller_kind: Literal["person", "enterprise"] | None = None
    anonymous: bool | None = None
    petitioner: dict[str, str | list[str]] | None = None


class Binding(StrEnum):
    """What a unit's person has to do with the ticket."""

    LEAD = "lead"
    PART = "part"


@dataclass(frozen=True)
class Rule:
    """`roles`: who may besides administrators; `system`: a rule or job may; `reason`: it must say why."""

    roles: frozenset[Role]
    arguments: type[Arguments] = Arguments
    reason: bool = False
    system: bool = False
    binding: Binding = Binding.LEAD


_DESK = frozenset({Role.OPERATOR, Role.REVIEWER, Role.DISPATCHER})
_REVIEW = frozenset({Role.REVIEWER, Role.SUPERVISOR})
_SEND = frozenset({Role.DISPATCHER, Role.REVIEWER, Role.SUPERVISOR, Role.LEADER})
_CALL_BACK = frozenset({Role.OPERATOR, Role.REVIEWER, Role.SUPERVISOR})
_EVERYBODY = frozenset(Role) - {Role.VIEWER, Role.AUDITOR}
_PART = Binding.PART
RULES: Mapping[Command, Rule] = {
    Command.ACCEPT: Rule(_DESK, system=True),
    Command.ANSWER_DIRECTLY: Rule(_DESK | {Role.LEADER}, AnswerArguments),
    Command.TRANSFER: Rule(_DESK, TransferArguments),
    Command.MERGE: Rule(_DESK, MergeArguments),
    Command.REFUSE: Rule(_REVIEW, reason=True),
    Command.RECONSIDER: Rule(_DESK | {Role.SUPERVISOR}, reason=True),
    Command.DISPATCH: Rule(_SEND, DispatchArguments, system=True),
    Command.SIGN_IN: Rule(UNIT_ROLES, SignInArguments),
    Command.ASK_RETURN: Rule(UNIT_ROLES, ReturnArguments, reason=True),
    Command.GRANT_RETURN: Rule(_REVIEW),
    Command.DENY_RETURN: Rule(_REVIEW, reason=True),
    Command.DELIBERATE: Rule(_SEND | {Role.UNIT_HEAD}, DeliberateArguments),
    Command.OPINION: Rule(_SEND | UNIT_ROLES, OpinionArguments, binding=_PART),
    Command.CONCLUDE: Rule(_SEND, ConcludeArguments),
    Command.ASK_EXTENSION: Rule(UNIT_ROLES, AskExtensionArguments, reason=True),
    Command.DECIDE_EXTENSION: Rule(_REVIEW, DecideExtensionArguments, reason=True),
    Command.SUSPEND: Rule(_REVIEW, SuspendArguments, reason=True),
    Command.RESUME: Rule(_REVIEW | {Role.UNIT_HEAD}),
    Command.CONTACT: Rule(UNIT_ROLES | _CALL_BACK, ContactArguments, binding=_PART),
    Command.ARRIVE: Rule(UNIT_ROLES, ArriveArguments, binding=_PART),
    Command.RECORD: Rule(UNIT_ROLES, RecordArguments, binding=_PART),
    Command.SUBMIT: Rule(UNIT_ROLES, SubmitArguments),
    Command.SEND_BACK: Rule(_REVIEW, reason=True),
    Command.APPROVE: Rule(_REVIEW),
    Command.CLOSE: Rule(_CALL_BACK, CloseArguments, system=True),
    Command.REDO: Rule(_CALL_BACK, reason=True, system=True),
    Command.SUPERVISE: Rule(_CALL_BACK, reason=True, system=True),
    Command.ARCHIVE: Rule(_REVIEW, system=True),
    Command.EDIT: Rule(_DESK | {Role.SUPERVISOR}, EditArguments, system=True),
    Command.NOTE: Rule(_EVERYBODY, TextArguments, binding=_PART),
    Command.FLAG: Rule(_REVIEW | {Role.DISPATCHER}, FlagArguments, reason=True, system=True),
    Command.UNFLAG: Rule(_REVIEW | {Role.DISPATCHER}, FlagArguments, reason=True, system=True),
    Command.NAME_READERS: Rule(_REVIEW | {Role.DISPATCHER}, ReadersArguments),
    Command.INSTRUCT: Rule(frozenset({Role.LEADER, Role.SUPERVISOR}), TextArguments),
    Command.URGE: Rule(_SEND, TextArguments, system=True),
    Command.CALL_BACK: Rule(_CALL_BACK, CallBackArguments),
    Command.APPEAL: Rule(frozenset({Role.UNIT_HEAD}), AppealArguments, reason=True),
    Command.DECIDE_APPEAL: Rule(frozenset({Role.SUPERVISOR}), DecideAppealArguments, reason=True),
}
FLAG_ROLES: Mapping[str, frozenset[Role]] = {
    "confidential": _REVIEW | {Role.DISPATCHER},
    "unreasonable": _REVIEW,
    "excluded": frozenset({Role.SUPERVISOR}),
    "overdue": frozenset({Role.SUPERVISOR}),
    "emergency": _REVIEW | {Role.DISPATCHER},
}
"""Who may set and take away a flag, besides administrators."""
_MESSAGES = {
    "missing": "必须填写",
    "extra_forbidden": "没有这一项",
    "string_too_short": "不能为空",
    "string_too_long": "太长",
    "string_pattern_mismatch": "格式不对",
    "literal_error": "不在可选范围内",
    "too_long": "太多",
    "too_short": "太少",
    "value_error": "填写不全",
}


def check_role(command: Command, actor: Actor) -> None:
    """Raises `ForbiddenError` where the table gives this role no such right."""
    rule = RULES[command]
    permitted = rule.system if actor.is_system else actor.role == Role.ADMIN or actor.role in rule.roles
    if not permitted:
        who = "、".join(role.label for role in Role if role in rule.roles)
        raise ForbiddenError(f"您不能{command.label}", hint=f"可以{command.label}的是：{who}")


def check_unit(command: Command, actor: Actor, *, lead: str, units: frozenset[str]) -> None:
    """Raises `ForbiddenError` for people whose unit has no part in the ticket. `units`: all that work on it."""
    if actor.role not in UNIT_ROLES:
        return
    mine = {lead} if RULES[command].binding is Binding.LEAD else units
    if not actor.unit or actor.unit not in mine:
        raise ForbiddenError(f"本工单不由您的单位承办，不能{command.label}", hint="请联系派单员核对承办单位")


def check_flag(flag: str, actor: Actor) -> None:
    """Raises `ForbiddenError` where this role may not set or take away that flag."""
    if not (actor.is_system or actor.role == Role.ADMIN or actor.role in FLAG_ROLES[flag]):
        raise ForbiddenError("您不能改变这个标记")


def parse_arguments(command: Command, given: Mapping[str, Any]) -> Arguments:
    """What the command says, checked; raises `InvalidInputError` naming each wrong item."""
    try:
        return RULES[command].arguments.model_validate(given)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part) for part in item['loc']) or '内容'}：{_MESSAGES.get(item['type'], '填写有误')}"
            for item in error.errors()
        ]
        raise InvalidInputError(f"{command.label}：{'；'.join(wrong[:5])}") from None


def check_reason(command: Command, reason: str) -> str:
    """The reason without blanks around it; raises `InvalidInputError` where one is due and missing, or too long."""
    reason = reason.strip()
    if RULES[command].reason and len(reason) < 2:
        raise InvalidInputError(f"{command.label}必须说明原因（至少 2 字）")
    if len(reason) > MAX_REASON:
        raise InvalidInputError(f"原因最多 {MAX_REASON} 字")
    return reason
