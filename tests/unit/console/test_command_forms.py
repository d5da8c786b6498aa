from dataclasses import dataclass

import pytest
from ticket_people import ADMIN, DISPATCHER, HANDLER, HEAD, LEADER, SUPERVISOR, TOWN

from console.command_forms import INPUTS, CommandForm, Input, offered, parse_form
from console.handling import detail
from hotline.errors import InvalidInputError
from tickets.command_rules import RULES
from tickets.lifecycle import Command
from tickets.models import Ticket, TicketEvent, TicketUnit, Unit
from tickets.roles import Actor, Role

UNITS = [
    Unit(code=TOWN, name="张山营镇", kind="town", active=True),
    Unit(code="x", name="旧", kind="town", active=False),
]


def ticket(state: str = "to_dispatch", unit: str = "", **values: object) -> Ticket:
    given = {"flags": [], "title": "暖气不热", "content": "回电13800138000", "confidential": False, "fee_cents": 8550}
    made = Ticket(number="1", state=state, unit=unit, **(given | values))
    made.units = [TicketUnit(unit=unit, lead=True)] if unit else []
    return made


def forms(ticket: Ticket, actor: Actor, *, masked: bool = True) -> dict[Command, CommandForm]:
    return {form.command: form for form in offered(ticket, actor, units=UNITS, categories=["供暖"], masked=masked)}


def field(form: CommandForm, name: str) -> Input:
    return next(item for item in form.inputs if item.name == name)


def test_every_argument_that_must_be_given_is_asked_for() -> None:
    for command, rule in RULES.items():
        needed = {name for name, item in rule.arguments.model_fields.items() if item.is_required()}
        assert needed <= {item.name for item in INPUTS.get(command, ())}, command


def test_nothing_is_asked_that_the_command_does_not_take() -> None:
    for command, inputs in INPUTS.items():
        assert {item.name for item in inputs} <= set(RULES[command].arguments.model_fields), command


def test_people_are_offered_what_they_may_do_now() -> None:
    assert Command.DISPATCH in forms(ticket(), DISPATCHER)
    assert Command.SIGN_IN not in forms(ticket(), DISPATCHER)
    assert forms(ticket(), HANDLER) == {}
    mine = forms(ticket("to_sign", TOWN), HANDLER)
    assert {Command.SIGN_IN, Command.ASK_RETURN} <= set(mine)
    assert Command.SIGN_IN not in forms(ticket("to_sign", "rl"), HANDLER)
    assert forms(ticket(), Actor("v", Role.VIEWER)) == {}


def test_what_moves_the_ticket_on_stands_first() -> None:
    moves = [form.moves for form in offered(ticket(), ADMIN, units=UNITS, categories=[], masked=True)]
    assert moves == sorted(moves, reverse=True)


def test_only_units_that_are_active_are_offered() -> None:
    assert field(forms(ticket(), DISPATCHER)[Command.DISPATCH], "unit").options == ((TOWN, "张山营镇"),)


@dataclass(frozen=True)
class Advice:
    unit: str = TOWN
    co_codes: tuple[str, ...] = ("a", "b")
    basis: str = "catalogue"


def test_the_dispatch_begins_with_what_is_suggested_and_says_so() -> None:
    (form,) = [
        form
        for form in offered(ticket(), DISPATCHER, units=UNITS, categories=[], masked=True, advice=Advice())
        if form.command is Command.DISPATCH
    ]
    begun = {item.name: item.value for item in form.inputs}
    assert begun == {"unit": TOWN, "co_units": "a,b", "basis": "catalogue", "suggested": TOWN}


def test_a_text_with_a_hidden_number_is_not_offered_for_correction() -> None:
    masked, full = (forms(ticket(), SUPERVISOR, masked=masked)[Command.EDIT] for masked in (True, False))
    assert "content" not in {item.name for item in masked.inputs}
    assert field(masked, "title").value == "暖气不热"
    assert field(full, "content").value == "回电13800138000"


def test_flags_are_offered_by_who_may_and_whether_they_are_there() -> None:
    flagged = ticket("handling", TOWN, flags=["excluded"])
    assert not {Command.FLAG, Command.UNFLAG} & set(forms(flagged, HEAD))
    assert [code for code, _ in field(forms(flagged, SUPERVISOR)[Command.UNFLAG], "flag").options] == ["excluded"]
    assert Command.INSTRUCT in forms(flagged, LEADER)


def test_an_appeal_is_offered_once_and_its_decision_while_it_waits() -> None:
    mine = ticket("closed", TOWN)
    assert Command.APPEAL in forms(mine, HEAD)
    assert Command.APPEAL not in forms(mine, HANDLER)
    assert Command.APPEAL not in forms(ticket("closed"), ADMIN)  # nobody's
    assert Command.DECIDE_APPEAL not in forms(mine, SUPERVISOR)
    mine.flags = ["under_appeal"]
    assert Command.APPEAL not in forms(mine, HEAD)
    assert Command.DECIDE_APPEAL in forms(mine, SUPERVISOR)
    assert Command.DECIDE_APPEAL not in forms(mine, HEAD)
    mine.flags, mine.events = [], [TicketEvent(kind="appeal", data={"unit": TOWN})]
    assert Command.APPEAL not in forms(mine, HEAD)


def test_a_code_is_asked_of_those_who_may_exclude() -> None:
    mine = ticket("handling", TOWN)
    assert {item.name for item in forms(mine, SUPERVISOR)[Command.FLAG].inputs} == {"flag", "code"}
    assert {item.name for item in forms(mine, DISPATCHER)[Command.FLAG].inputs} == {"flag"}


@pytest.mark.parametrize(
    ("command", "given", "said"),
    [
        (Command.DISPATCH, {"unit": [" zsy "], "co_units": ["a", "b"]}, {"unit": "zsy", "co_units": ["a", "b"]}),
        (Command.DISPATCH, {"unit": ["a"], "co_units": ["a", "b"]}, {"unit": "a", "co_units": ["b"]}),
        (Command.SUBMIT, {"result": ["好了"], "fee_cents": ["85.5"]}, {"result": "好了", "fee_cents": 8550}),
        (Command.SUBMIT, {"result": ["好了"], "fee_cents": [" "]}, {"result": "好了"}),
        (Command.ASK_EXTENSION, {"period": ["2h"]}, {"period": "2h", "told_caller": False}),
        (Command.ASK_EXTENSION, {"period": ["2h"], "told_caller": ["true"]}, {"period": "2h", "told_caller": True}),
        (Command.CONTACT, {"method": ["phone"], "reached": ["false"]}, {"method": "phone", "reached": False}),
        (Command.CALL_BACK, {"reached": ["true"], "solved": ["yes"]}, {"reached": True, "solved": "yes"}),
        (Command.NAME_READERS, {"readers": ["li, wang，zhao、"]}, {"readers": ["li", "wang", "zhao"]}),
        (Command.EDIT, {"title": ["新"], "address": [""]}, {"title": "新", "address": ""}),
        (Command.ACCEPT, {"unit": ["zsy"]}, {}),
        (Command.DECIDE_APPEAL, {"granted": ["false"], "code": [""]}, {"granted": False}),
    ],
)
def test_what_was_typed_becomes_arguments(
    command: Command, given: dict[str, list[str]], said: dict[str, object]
) -> None:
    assert parse_form(command, given) == said


@pytest.mark.parametrize("fee", ["八十五", "inf", "nan", "1e999"])
def test_a_fee_that_is_no_number_is_told(fee: str) -> None:
    with pytest.raises(InvalidInputError, match="请填写数字"):
        parse_form(Command.SUBMIT, {"result": ["好了"], "fee_cents": [fee]})


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (
            "dispatch",
            {"unit": "zsy", "co_units": ["rl"], "basis": "direct"},
            "主办 张山营镇；协办 rl；职责明确，直接派单",
        ),
        ("contact", {"reached": False, "note": "无人接听"}, "未联系上；无人接听"),
        ("call_back", {"solved": "no", "satisfied": "not_satisfied"}, "解决：否；满意：不满意"),
        ("reminded", {"step": "sign_in", "share": 0.8}, "签收；已用 80%"),
        ("edit", {"set": {"title": "新", "tier": "T1"}}, "标题、时限等级"),
        ("created", {"number": "YQ1"}, ""),
        ("ask_return", {"code": "not_our_duty"}, "不属于本单位职责"),
        ("appeal", {"code": "not_our_duty"}, "不属承办单位职责"),
        ("decide_appeal", {"granted": True, "code": "malicious"}, "同意，不计入考核；恶意或重复诉求"),
        ("decide_appeal", {"granted": False, "code": ""}, "驳回，照常计入"),
        ("flag", {"flag": "excluded", "code": "force_majeure"}, "不计入考核；不可抗力"),
    ],
)
def test_history_says_what_was_done(kind: str, data: dict[str, object], line: str) -> None:
    assert detail(kind, data, {"zsy": "张山营镇"}) == line
