"""From a command to a request: what is taken, and what is refused with a message that names the argument."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.commands import Command, Outcome
from hotline.errors import InvalidInputError
from ivr.announcements.prompts import PromptLibrary
from ivr.calls import control
from ivr.calls.control import REQUESTS, OnCall, Play, arguments_of, parse
from ivr.media.mixer import Supervision

ROOT = Path(control.__file__).parents[2]
DOCUMENT = (ROOT / "docs/call-control.md").read_text("utf-8")
AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
PROMPTS = PromptLibrary.load(ROOT / "ivr/prompts/zh")
VALID: dict[str, Any] = {
    "party": "8001",
    "target": "+8613800138000",
    "queue": "operator",
    "extension": "8002",
    "mode": "whisper",
    "items": ["digit_1", "say:YQ-2026", "count:12", "ordinal:3"],
    "to": "caller",
    "digits": "0123456789*#ABCD",
    "flow": "survey",
    "number": "01069101234",
    "variables": {"ticket": "YQ20260105000017"},
    "seat": "8001",
    "queues": ["operator", "企业"],
    "skills": ["enterprise"],
}


def command(name: str, call_id: str = "c1", **arguments: object) -> Command:
    return Command(name=name, at=AT, call_id=call_id, arguments=arguments)


def valid(name: str, **changes: object) -> Command:
    """A command as it should be, with every argument it takes."""
    arguments = {argument: VALID[argument] for argument in arguments_of(REQUESTS[name])}
    return command(name, **{**arguments, **changes})


@pytest.mark.parametrize("name", REQUESTS)
def test_every_command_becomes_a_request_with_all_it_was_given(name: str) -> None:
    request = parse(valid(name), prompts=PROMPTS)
    assert type(request) is REQUESTS[name]
    for argument in arguments_of(REQUESTS[name]):
        value, given_value = getattr(request, argument), VALID[argument]
        if isinstance(value, Supervision):
            value = value.name.lower()
        elif isinstance(value, tuple | frozenset):
            value = list(value)
        assert value == given_value
    assert getattr(request, "call_id", "c1") == "c1"


@pytest.mark.parametrize("name", REQUESTS)
def test_a_command_that_lacks_an_argument_says_which(name: str) -> None:
    for argument, required in arguments_of(REQUESTS[name]).items():
        given_values = {key: value for key, value in valid(name).arguments.items() if key != argument}
        if required:
            with pytest.raises(InvalidInputError, match=f"{name} needs {argument}"):
                parse(command(name, **given_values), prompts=PROMPTS)
        else:
            parse(command(name, **given_values), prompts=PROMPTS)


@pytest.mark.parametrize("name", [name for name, kind in REQUESTS.items() if issubclass(kind, OnCall)])
def test_a_command_on_a_call_needs_the_call(name: str) -> None:
    for call_id in ("", "a" * 33, "a.b"):
        with pytest.raises(InvalidInputError, match="call_id"):
            parse(Command(name=name, at=AT, call_id=call_id, arguments=valid(name).arguments), prompts=PROMPTS)


def test_the_call_is_no_argument() -> None:
    with pytest.raises(InvalidInputError, match="hang_up takes no 'call_id'"):
        parse(Command(name="hang_up", at=AT, call_id="c1", arguments={"call_id": "c2"}), prompts=PROMPTS)


def test_a_party_who_is_not_named_is_the_caller() -> None:
    assert parse(command("hang_up"), prompts=PROMPTS) == control.HangUp(call_id="c1", party="caller")
    assert parse(command("play", items=["digit_1"]), prompts=PROMPTS) == Play(call_id="c1", items=("digit_1",))


def test_unknown_commands_and_arguments_are_named() -> None:
    with pytest.raises(InvalidInputError, match="no command named explode"):
        parse(command("explode"), prompts=PROMPTS)
    with pytest.raises(InvalidInputError, match="hold takes no 'partys'"):
        parse(command("hold", party="8001", partys="8002"), prompts=PROMPTS)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("hold", "party", ""),
        ("hold", "party", None),
        ("hold", "party", "8001\r\nBYE"),
        ("hold", "party", "8" * 65),
        ("transfer", "target", "sip:8001@evil"),
        ("transfer", "target", "8001;lr"),
        ("transfer_to_queue", "queue", "two words"),
        ("supervise", "extension", "../../etc"),
        ("supervise", "mode", "shout"),
        ("supervise", "mode", 1),
        ("play", "items", []),
        ("play", "items", "digit_1"),
        ("play", "items", ["digit_1"] * 21),
        ("play", "items", ["../../etc/passwd"]),
        ("play", "items", ["no_such_prompt"]),
        ("play", "items", ["say:请稍等"]),
        ("play", "items", ["shout:1"]),
        ("play", "items", [7]),
        ("play", "to", ["caller"]),
        ("send_digits", "digits", ""),
        ("send_digits", "digits", "12x"),
        ("send_digits", "digits", "1" * 33),
        ("send_digits", "digits", 12),
        ("dial_out", "number", "+"),
        ("dial_out", "number", "一三八"),
        ("dial_out", "number", "１３８"),
        ("start_flow", "flow", "../survey"),
        ("start_flow", "variables", ["a"]),
        ("start_flow", "variables", {"a b": "1"}),
        ("start_flow", "variables", {"a": 1}),
        ("start_flow", "variables", {"a": "长" * 1001}),
        ("start_flow", "variables", {f"v{number}": "" for number in range(51)}),
        ("seat_sign_in", "seat", "8"),
        ("seat_sign_in", "queues", []),
        ("seat_sign_in", "queues", ["a"] * 51),
        ("seat_sign_in", "skills", [""]),
        ("seat_sign_in", "skills", {"a": 1}),
    ],
)
def test_a_wrong_argument_is_refused_and_named(name: str, argument: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"^{argument}: "):
        parse(valid(name, **{argument: value}), prompts=PROMPTS)


def test_a_request_with_a_wrong_argument_cannot_be_built_at_all() -> None:
    with pytest.raises(InvalidInputError, match="digits"):
        control.SendDigits(call_id="c1", digits="x")
    with pytest.raises(InvalidInputError, match="mode"):
        control.Supervise(call_id="c1", extension="8001", mode="shout")  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
ARGUMENTS = st.dictionaries(st.sampled_from(sorted(VALID)) | st.text(), JSON, max_size=4)


@given(st.sampled_from(sorted(REQUESTS)) | st.just("nothing"), ARGUMENTS, st.booleans())
def test_any_arguments_become_a_request_or_one_clear_error(name: str, changes: dict[str, Any], whole: bool) -> None:
    base = valid(name).arguments if whole and name in REQUESTS else {}
    sent = Command(name=name, at=AT, call_id="c1", arguments={**base, **changes})
    problem = ""
    try:
        assert type(parse(sent, prompts=PROMPTS)) is REQUESTS[name]
    except InvalidInputError as error:
        problem = error.message
    assert "\n" not in problem
    assert len(problem) < 400


@given(st.sampled_from(sorted(REQUESTS)))
def test_a_request_survives_the_way_over_the_wire(name: str) -> None:
    sent = valid(name)
    assert parse(Command.parse(sent.serialize()), prompts=PROMPTS) == parse(sent, prompts=PROMPTS)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the document."""
    table = re.search(rf"^## {heading}\n[^|]*((?:\|[^\n]*\n)+)", DOCUMENT, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table[1].splitlines()[2:]]


def test_the_document_lists_every_command_with_its_arguments() -> None:
    told = {row[0]: row[1] for row in rows("Commands")}
    assert told == {
        name: ", ".join(key if required else f"[{key}]" for key, required in arguments_of(kind).items())
        for name, kind in REQUESTS.items()
    }


def test_the_document_lists_every_event_of_a_call() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "ivr/calls").glob("*.py"))
    assert {row[0] for row in rows("Events of calls")} == set(re.findall(r'"(call\.[a-z_]+)"', source))


def test_the_document_lists_what_outcomes_say() -> None:
    events = [outcome.event(command("hold"), AT) for outcome in (Outcome(), Outcome("no"))]
    assert [row[:2] for row in rows("Outcomes")] == [[event.name, ", ".join(event.data)] for event in events]
