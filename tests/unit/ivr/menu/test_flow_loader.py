"""Reading flows: the schema, the loader's problems, includes."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from ivr.acd.rule import Strategy
from ivr.announcements.prompts import PromptLibrary
from ivr.menu.flow import BUILT_IN, OUTCOMES, SurveyRule
from ivr.menu.loader import KIND_KEYS, examine_flow, load_flow

ROOT = Path(__file__).resolve().parents[4]
FLOWS = sorted((ROOT / "ivr/flows").glob("*.yaml"))
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "ivr/flow.schema.json").read_text(encoding="utf-8")))
PROMPTS = frozenset(PromptLibrary.load(ROOT / "ivr/prompts/zh").names)

EVERY_KIND = """\
name: every
start: greet
entries: {"63100000": choose}
variables: {target: "8001", language: zh}
hours:
  office: {working_days: ["09:00-12:00", "14:00-24:00"], days_off: []}
queues:
  people: {strategy: ring_all, skills: [water], max_length: 5}
emergency: {words: [着火], play: [emergency]}
attempts: {count: 3, apart_s: 7200, ring_s: 30, hours: office}
states:
  greet:
    kind: play
    play: [notice]
    set: {language: en}
    next: {done: choose}
  choose:
    kind: menu
    play: [menu_main]
    keys: {"1": tell, "2": open_now, "3": call, "4": code, "5": ask}
    next: {timeout: end, invalid: end}
  tell:
    kind: record
    record: {end_keys: "#", silence_s: 4, no_speech_s: 8, limit_s: 300}
    next: {recorded: take_number, silent: end}
  take_number:
    kind: number
    timeout_s: 2
    next: {assigned: end, unavailable: end}
  open_now:
    kind: condition
    when:
      - {hours: office, next: wait}
      - {session: open, next: wait}
      - {variable: satisfied, is: ["yes", ""], next: promise}
    otherwise: end
  wait:
    kind: enqueue
    queue: people
    music: hold_music
    announce: [queue_place, "{position}"]
    next: {ended: end, overflow: promise, call_back: promise}
  promise:
    kind: call_back
    next: {done: end}
  call:
    kind: dial
    target: "{target}"
    timeout_s: 30
    next: {ended: end, failed: end}
  code:
    kind: collect
    variable: ticket_code
    play: [ask_lookup_code]
    max_digits: 6
    next: {collected: number, timeout: end, invalid: end}
  number:
    kind: collect
    variable: ticket_number
    play: [ask_ticket_number]
    max_digits: 14
    next: {collected: progress, timeout: end, invalid: end}
  progress:
    kind: look_up
    subject: ticket_progress
    timeout_s: 5
    next: {found: end, not_found: end, unavailable: end}
  ask:
    kind: survey
    question: satisfied
    play: [ask_satisfied]
    answers: {"1": "yes", "2": "no"}
    spoken: {"yes": [满意, 是的], "no": [不满意]}
    next: {answered: end, timeout: end, invalid: end}
  end:
    kind: hangup
    play: [goodbye, "{ticket_code}"]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "flow.yaml"
    path.write_text(text, encoding="utf-8")
    _, found = examine_flow(path, prompts=PROMPTS)
    return [f"{problem.line}: {problem.message}" for problem in found]


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_shipped_flows_have_no_problem_and_fit_the_schema(path: Path) -> None:
    assert examine_flow(path, prompts=PROMPTS)[1] == []
    SCHEMA.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_included_parts_fit_the_schema() -> None:
    for path in (ROOT / "ivr/flows/include").glob("*.yaml"):
        SCHEMA.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_every_kind_of_state_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(EVERY_KIND, encoding="utf-8")
    flow = load_flow(path, prompts=PROMPTS)
    SCHEMA.validate(yaml.safe_load(EVERY_KIND))
    assert {state.kind for state in flow.states.values()} == {
        *("play", "record", "number", "menu", "collect", "survey"),
        *("condition", "enqueue", "dial", "look_up", "call_back", "hangup"),
    }
    assert (flow.entry("63100000"), flow.entry("12345")) == ("choose", "greet")
    assert flow.queues["people"].strategy is Strategy.RING_ALL
    assert flow.queues["people"].skills == {"water"}
    assert flow.emergency is not None
    assert flow.emergency.heard_in("我家着 火了") == ("着火",)
    assert flow.attempts is not None
    assert flow.attempts.attempts == 3
    assert flow.states["ask"].survey == SurveyRule(
        "satisfied", {"1": "yes", "2": "no"}, {"yes": ("满意", "是的"), "no": ("不满意",)}
    )


WRONG = [
    ("queue: people", "queue: nobody", "no queue named nobody"),
    ("hours: office, next: wait", "hours: night, next: wait", "no hours named night"),
    ('"{position}"', '"{place}"', "no variable named place"),
    ('target: "{target}"', 'target: "{phone}"', "no variable named phone"),
    ("music: hold_music", "music: rock", "no prompt named rock"),
    ("    music: hold_music\n", "", "music is missing"),
    ("subject: ticket_progress", "subject: weather", "no subject named weather"),
    ("variable: ticket_number", "variable: other", "ticket_progress needs the variable ticket_number"),
    ("max_digits: 6", "max_digits: 0", "a whole number from 1 to 64"),
    ("max_digits: 6", "max_digits: 6\n    min_digits: 9", "max_digits is less than min_digits"),
    ("max_digits: 6", "max_digits: six", "a whole number"),
    ("max_digits: 6", "max_digits: 6\n    end_key: D", "D is none of"),
    ("{session: open, next: wait}", "{session: open, hours: office, next: wait}", "a test asks one of"),
    ("{session: open, next: wait}", "{session: maybe, next: wait}", "maybe is none of open, closed"),
    ('{variable: satisfied, is: ["yes", ""], next: promise}', "{variable: satisfied, next: promise}", "a test asks"),
    ('"14:00-24:00"', '"14:00-13:00"', "not a part of a day"),
    ('"14:00-24:00"', '"2 pm"', "not hours such as"),
    ("strategy: ring_all", "strategy: loudest", "loudest is none of"),
    ("words: [着火]", "words: []", "emergency needs words"),
    ("ring_s: 30, hours: office", "ring_s: 30, hours: dawn", "no hours named dawn"),
    ("count: 3", "count: 300", "a whole number from 1 to 10"),
    ('answers: {"1": "yes"', 'answers: {"11": "yes"', "no such key on a telephone: 11"),
    ("[不满意]", "[不满意, 满意]", "满意 stands for yes and for no"),
    ("[不满意]", "[]", "no needs phrases"),
    ('"no": [不满意]', '"never": [不满意]', "no key stands for the answer never"),
    ("call_back: promise}", "later: promise}", "unknown key later"),
    ("    timeout_s: 30\n", "", "timeout_s is missing"),
    ("name: every", "name: every\ntimezone: Moon/Base", "no time zone named Moon/Base"),
    ("name: every", "name: every\ninclude: [none.yaml]", "no file"),
    ("name: every", "name: every\nholidays: none.yaml", "No such file"),
    ("name: every", "name: every\nname: twice", "name stands twice"),
    ("kind: hangup", "kind: hangup\n    next: {done: greet}", "unknown key next"),
    ("  promise:", "  2promise:", "not a state's name"),
    ("otherwise: end", "then: end", "otherwise is missing"),
    ("states:", "states: []\nmore:", "a mapping is needed here"),
    ("play: [menu_main]", "play: menu_main", "a list is needed here"),
    ('keys: {"1": tell, "2": open_now, "3": call, "4": code, "5": ask}', "keys: {}", "needs keys"),
]


@pytest.mark.parametrize(("old", "new", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_what_is_wrong_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in EVERY_KIND
    assert any(words in found for found in problems(tmp_path, EVERY_KIND.replace(old, new, 1)))


def test_all_problems_are_told_at_once_in_order_of_lines(tmp_path: Path) -> None:
    text = EVERY_KIND.replace("queue: people", "queue: nobody").replace("play: [notice]", "play: [notise]")
    found = problems(tmp_path, text.replace("kind: hangup", "kind: sleep"))
    lines = [int(item.split(":")[0]) for item in found]
    assert len(found) >= 3
    assert lines == sorted(lines)


def test_loading_names_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(EVERY_KIND.replace("people", "nobody", 1).replace("[notice]", "[notise]"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 14: no prompt named notise.*line 39: no queue named people"):
        load_flow(path, prompts=PROMPTS)


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    refused = 0
    for old, new, _ in WRONG:
        try:
            document = yaml.safe_load(EVERY_KIND.replace(old, new, 1))
        except yaml.YAMLError:
            continue
        refused += not SCHEMA.is_valid(document)
    assert refused >= len(WRONG) // 2  # the others are names, which a schema can't know


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert any("not valid YAML" in found for found in problems(tmp_path, "[" * 20_000))


@given(st.text(max_size=200))
def test_any_text_is_survived(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    flow, found = examine_flow(path, prompts=PROMPTS)
    assert flow is not None or found


@given(st.data())
def test_a_flow_with_a_line_missing_or_changed_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = EVERY_KIND.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(st.sampled_from(["", "    x: y", "  - 1", lines[at] + " #", lines[at].replace(":", ": [")]))
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    examine_flow(path, prompts=PROMPTS)


# --- includes ---


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "main.yaml"


PART = "states:\n  end:\n    kind: hangup\n  unused:\n    kind: hangup\n"
MAIN = """\
name: m
start: a
include: [part.yaml]
states:
  a:
    kind: play
    play: [thanks]
    next: {done: end}
"""


def test_states_of_an_included_file_may_be_used_and_need_not_be(tmp_path: Path) -> None:
    flow = load_flow(write(tmp_path, main=MAIN, part=PART), prompts=PROMPTS)
    assert {"a", "end"} <= flow.states.keys()


def test_the_including_file_wins(tmp_path: Path) -> None:
    main = MAIN + "  end:\n    kind: hangup\n    play: [goodbye]\n"
    flow = load_flow(write(tmp_path, main=main, part=PART), prompts=PROMPTS)
    assert flow.states["end"].play == ("goodbye",)


def test_files_that_include_one_another_are_read_once(tmp_path: Path) -> None:
    part = "include: [main.yaml]\n" + PART
    assert load_flow(write(tmp_path, main=MAIN, part=part), prompts=PROMPTS).start == "a"


def test_a_problem_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    path = write(tmp_path, main=MAIN, part=PART.replace("unused:\n    kind: hangup", "unused:\n    kind: nap"))
    _, found = examine_flow(path, prompts=PROMPTS)
    assert [(Path(problem.path).name, problem.line) for problem in found] == [("part.yaml", 5)]


def test_too_many_included_files_are_refused(tmp_path: Path) -> None:
    chain = {f"p{n}": f"include: [p{n + 1}.yaml]\n" for n in range(40)}
    path = write(tmp_path, main=MAIN.replace("part.yaml", "p0.yaml"), p40=PART, **chain)
    assert any("more than 20 files" in problem.message for problem in examine_flow(path, prompts=PROMPTS)[1])


# --- the manual ---

MANUAL = (ROOT / "docs/flows.md").read_text(encoding="utf-8")


def test_the_manuals_example_has_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    example = MANUAL.split("```yaml\n")[1].split("```")[0]
    path.write_text(example.replace("include/common.yaml", str(ROOT / "ivr/flows/include/common.yaml")), "utf-8")
    assert examine_flow(path, prompts=PROMPTS)[1] == []


def test_the_manual_and_the_schema_name_every_kind_outcome_and_setting() -> None:
    states = {
        kind["properties"]["kind"]["const"]: kind["properties"] for kind in SCHEMA.schema["$defs"]["state"]["oneOf"]
    }
    assert states.keys() == OUTCOMES.keys()
    for kind, properties in states.items():
        row = next(line for line in MANUAL.splitlines() if line.startswith(f"| `{kind}` |"))
        assert set(properties) == KIND_KEYS[kind] | {"kind", "set"}
        for outcome in OUTCOMES[kind]:
            assert f"`{outcome}`" in row
            assert outcome in properties["next"]["required"]
    for setting in SCHEMA.schema["$defs"]["queue"]["properties"]:
        assert f"| `{setting}` |" in MANUAL
    for name in (*BUILT_IN, *SCHEMA.schema["properties"]):
        assert f"`{name}`" in MANUAL
