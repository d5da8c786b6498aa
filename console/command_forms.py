"""The forms of a ticket's commands: which are offered to whom, what each asks, and what was typed into it. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from asr.masking import mask_numbers
from console import labels
from hotline.errors import ForbiddenError, InvalidInputError
from tickets.appeal_rules import CODES, EXCLUDED, UNDER_APPEAL, has_appealed
from tickets.command_rules import FLAG_ROLES, RULES, check_flag, check_role, check_unit
from tickets.lifecycle import TRANSITIONS, Command, State, allowed_commands
from tickets.models import Ticket, Unit
from tickets.roles import Actor

Kind = Literal["text", "area", "choice", "unit", "units", "tick", "money", "names", "hidden"]
Options = tuple[tuple[str, str], ...]
YES_NO: Options = (("yes", "是"), ("no", "否"))
RETURN_CODES: Options = (
    ("not_our_duty", "不属于本单位职责"),
    ("wrong_place", "不属于本单位辖区"),
    ("needs_others", "须由其他单位主办"),
    ("incomplete", "信息不全，无法办理"),
    ("duplicate", "重复派单"),
    ("other", "其他"),
)
PERIODS: Options = (("2h", "2 小时"), ("24h", "24 小时"), ("3d", "3 天"), ("7d", "7 天"), ("15d", "15 天"))
BASES: Options = (
    ("catalogue", "派单目录"),
    ("direct", "职责明确，直接派单"),
    ("first_responder", "首接负责"),
    ("division_of_duty", "现场划分责任"),
    ("district_office", "区级兜底"),
    ("leader", "领导交办"),
)


@dataclass(frozen=True)
class Input:
    """One thing that a form asks. `value`: what it begins with; of several units their codes, with commas."""

    name: str
    label: str
    kind: Kind = "text"
    options: Options = ()
    required: bool = False
    hint: str = ""
    value: str = ""


@dataclass(frozen=True)
class CommandForm:
    """A command that may be given now. `moves`: the state becomes another one; `reason`: it must say why."""

    command: Command
    moves: bool
    reason: bool
    inputs: tuple[Input, ...]

    @property
    def label(self) -> str:
        """What people see."""
        return self.command.label


WORK = (
    Input("measures", "采取的措施", "area"),
    Input("reply", "答复内容", "area", hint="回访时念给诉求人听"),
    Input("fee_cents", "收费（元）", "money", hint="没有收费可不填"),
)
INPUTS: Mapping[Command, tuple[Input, ...]] = {
    Command.ANSWER_DIRECTLY: (Input("reply", "答复内容", "area", required=True),),
    Command.TRANSFER: (
        Input("service", "转给", "choice", (("110", "110"), ("119", "119"), ("120", "120")), required=True),
    ),
    Command.MERGE: (Input("into", "并入的工单号", required=True, hint="例如 YQ20260105000011"),),
    Command.DISPATCH: (
        Input("unit", "主办单位", "unit", required=True),
        Input("co_units", "协办单位", "units"),
        Input("basis", "派单依据", "choice", BASES, required=True, value="direct"),
        Input("suggested", "", "hidden"),
    ),
    Command.SIGN_IN: (Input("handler", "承办人", hint="不填即为您本人"),),
    Command.ASK_RETURN: (Input("code", "退单理由", "choice", RETURN_CODES, required=True),),
    Command.DELIBERATE: (
        Input("units", "参加会商的单位", "units", required=True),
        Input("question", "会商的问题", "area"),
    ),
    Command.OPINION: (Input("opinion", "意见", "area", required=True),),
    Command.CONCLUDE: (Input("decision", "会商结论", "area", required=True),),
    Command.ASK_EXTENSION: (
        Input("period", "延长", "choice", PERIODS, required=True, hint="不超过原时限，只能延期一次"),
        Input("told_caller", "已向诉求人说明原因", "tick", required=True),
    ),
    Command.DECIDE_EXTENSION: (
        Input("granted", "决定", "choice", (("true", "同意延期"), ("false", "不同意")), required=True),
    ),
    Command.SUSPEND: (Input("until", "预计恢复日期", hint="例如 2026-03-01，可不填"),),
    Command.CONTACT: (
        Input("method", "方式", "choice", (("phone", "电话"), ("visit", "上门"), ("message", "短信")), required=True),
        Input("reached", "联系上了", "choice", (("true", "是"), ("false", "否，无人接听")), required=True),
        Input("note", "说明", "area"),
    ),
    Command.ARRIVE: (Input("note", "现场情况", "area"),),
    Command.RECORD: (Input("result", "办理结果", "area"), *WORK),
    Command.SUBMIT: (Input("result", "办理结果", "area", required=True), *WORK),
    Command.CALL_BACK: (
        Input("reached", "联系上诉求人", "choice", (("true", "是"), ("false", "否，无人接听")), required=True),
        Input("contacted", "承办单位联系过", "choice", YES_NO),
        Input("solved", "诉求已解决", "choice", YES_NO),
        Input(
            "satisfied",
            "是否满意",
            "choice",
            (("satisfied", "满意"), ("basically", "基本满意"), ("not_satisfied", "不满意")),
        ),
        Input("note", "诉求人原话", "area"),
    ),
    Command.CLOSE: (Input("note", "备注", "area"),),
    Command.EDIT: (
        Input("title", "标题", required=True),
        Input("content", "诉求内容", "area"),
        Input("category", "类别", "choice"),
        Input("type", "诉求类型", "choice", tuple(labels.TYPES.items())),
        Input("tier", "时限等级", "choice", tuple(labels.TIERS.items())),
        Input("caller_name", "来电人"),
        Input("town", "街乡镇"),
        Input("community", "社区（村）"),
        Input("address", "地址"),
    ),
    Command.NOTE: (Input("text", "备注", "area", required=True),),
    Command.FLAG: (
        Input("flag", "标记", "choice", required=True),
        Input("code", "不计入考核的理由", "choice", tuple(CODES.items()), hint="标记为不计入考核时必选"),
    ),
    Command.UNFLAG: (Input("flag", "标记", "choice", required=True),),
    Command.NAME_READERS: (Input("readers", "知情人账号", "names", required=True, hint="多个账号用逗号分开"),),
    Command.INSTRUCT: (Input("text", "批示", "area", required=True),),
    Command.URGE: (Input("text", "催办内容", "area", required=True),),
    Command.APPEAL: (
        Input("code", "申诉理由", "choice", tuple(CODES.items()), required=True, hint="每件工单一个单位只能申诉一次"),
    ),
    Command.DECIDE_APPEAL: (
        Input(
            "granted",
            "裁定",
            "choice",
            (("true", "同意，工单不计入考核"), ("false", "驳回，工单照常计入")),
            required=True,
        ),
        Input("code", "不计入考核的理由", "choice", tuple(CODES.items()), hint="同意时必选"),
    ),
}


class Advice(Protocol):
    """What is read of a suggestion whom to send a ticket to."""

    @property
    def unit(self) -> str: ...

    @property
    def co_codes(self) -> tuple[str, ...]: ...

    @property
    def basis(self) -> str: ...


def offered(
    ticket: Ticket,
    actor: Actor,
    *,
    units: Sequence[Unit],
    categories: Iterable[str],
    masked: bool,
    advice: Advice | None = None,
) -> list[CommandForm]:
    """The commands that this person may give this ticket now, those that move it on first. `masked`: personal numbers
    are hidden from him, so that texts which hold one are not offered for correction; `advice`: what the form of the
    dispatch begins with."""
    forms = [
        _form(command, ticket, actor, units, categories, masked=masked)
        for command in allowed_commands(State(ticket.state))
        if may_give(command, ticket, actor)
    ]
    forms = [form for form in forms if all(item.options or item.kind != "choice" for item in form.inputs)]
    if advice is not None:
        forms = [_advised(form, advice) if form.command is Command.DISPATCH else form for form in forms]
    return sorted(forms, key=lambda form: not form.moves)


def _advised(form: CommandForm, advice: Advice) -> CommandForm:
    values = {
        "unit": advice.unit,
        "co_units": ",".join(advice.co_codes),
        "basis": advice.basis,
        "suggested": advice.unit,
    }
    return replace(form, inputs=tuple(replace(item, value=values.get(item.name, item.value)) for item in form.inputs))


def may_give(command: Command, ticket: Ticket, actor: Actor) -> bool:
    """Whether role and unit allow it."""
    try:
        check_role(command, actor)
        check_unit(command, actor, lead=ticket.unit, units=frozenset(link.unit for link in ticket.units))
    except ForbiddenError:
        return False
    if command is Command.APPEAL:
        return bool(ticket.unit) and UNDER_APPEAL not in ticket.flags and not has_appealed(ticket.events, ticket.unit)
    if command is Command.DECIDE_APPEAL:
        return UNDER_APPEAL in ticket.flags
    return command is not Command.NAME_READERS or ticket.confidential


def parse_form(command: Command, given: Mapping[str, list[str]]) -> dict[str, Any]:
    """What was typed, as arguments of the command: nothing typed is nothing said. Raises `InvalidInputError`."""
    said: dict[str, Any] = {}
    for item in INPUTS.get(command, ()):
        values = [value.strip() for value in given.get(item.name, []) if value.strip()]
        if item.kind == "tick":
            said[item.name] = bool(values)
        elif item.kind == "units":
            said[item.name] = values
        elif item.kind == "names":
            said[item.name] = [name.strip() for name in re.split("[,，、]", "，".join(values)) if name.strip()]
        elif values:
            said[item.name] = _value(item, values[-1])
        elif command is Command.EDIT and item.name in given and not item.required:
            said[item.name] = ""  # emptied by the person
    if command is Command.DISPATCH:  # who becomes the lead helps no longer, also where that was suggested
        said["co_units"] = [code for code in said["co_units"] if code != said.get("unit")]
    return said


def _value(item: Input, text: str) -> Any:
    if item.kind == "money":
        try:
            return round(float(text.removesuffix("元").strip()) * 100)
        except (ValueError, OverflowError):
            raise InvalidInputError(f"{item.label}：请填写数字，例如 85 或 85.5") from None
    if item.options and {key for key, _ in item.options} == {"true", "false"}:
        return text == "true"
    return text


def _form(
    command: Command,
    ticket: Ticket,
    actor: Actor,
    units: Sequence[Unit],
    categories: Iterable[str],
    *,
    masked: bool,
) -> CommandForm:
    state = State(ticket.state)
    filled = [_filled(item, command, ticket, actor, units, categories) for item in INPUTS.get(command, ())]
    if command is Command.FLAG and not any(key == EXCLUDED for key, _ in filled[0].options):
        filled = filled[:1]  # a code is asked of those who may exclude
    inputs = tuple(item for item in filled if not masked or mask_numbers(item.value) == item.value)
    return CommandForm(command, TRANSITIONS[state, command] is not state, RULES[command].reason, inputs)


def _filled(
    item: Input, command: Command, ticket: Ticket, actor: Actor, units: Sequence[Unit], categories: Iterable[str]
) -> Input:
    options, value = item.options, item.value
    if item.kind in ("unit", "units"):
        options = tuple((unit.code, unit.name) for unit in units if unit.active)
    elif item.name == "category":
        options = tuple((name, name) for name in categories)
    elif item.name == "flag":
        options = _flags(command, ticket, actor)
    if command in (Command.EDIT, Command.RECORD, Command.SUBMIT):
        known = getattr(ticket, item.name)
        value = (
            f"{known / 100:g}" if item.kind == "money" and known is not None else "" if known is None else str(known)
        )
    return Input(item.name, item.label, item.kind, options, item.required, item.hint, value)


def _flags(command: Command, ticket: Ticket, actor: Actor) -> Options:
    there = set(ticket.flags)
    found = []
    for flag in FLAG_ROLES:
        try:
            check_flag(flag, actor)
        except ForbiddenError:
            continue
        if (flag in there) == (command is Command.UNFLAG):
            found.append((flag, labels.label(labels.FLAGS, flag)))
    return tuple(found)
