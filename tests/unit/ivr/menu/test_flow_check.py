"""What is wrong with a flow's graph."""

from pathlib import Path

from ivr.menu.loader import examine_flow

PROMPTS = frozenset({"hello"})


def problems(tmp_path: Path, states: str, start: str = "a") -> list[str]:
    path = tmp_path / "flow.yaml"
    path.write_text(f"name: t\nstart: {start}\nstates:\n{states}", encoding="utf-8")
    return [f"{problem.line}: {problem.message}" for problem in examine_flow(path, prompts=PROMPTS)[1]]


def play(name: str, then: str) -> str:
    return f"  {name}: {{kind: play, play: [hello], next: {{done: {then}}}}}\n"


def menu(name: str, key: str, timeout: str, invalid: str = "end") -> str:
    outcomes = f"{{timeout: {timeout}, invalid: {invalid}}}"
    return f'  {name}: {{kind: menu, play: [hello], keys: {{"1": {key}}}, next: {outcomes}}}\n'


END = "  end: {kind: hangup}\n"


def test_a_state_that_nobody_reaches_is_told_with_those_after_it(tmp_path: Path) -> None:
    found = problems(tmp_path, play("a", "end") + play("lost", "more") + play("more", "end") + END)
    assert found == ["5: state lost is never reached, nor are more"]


def test_a_ring_that_nobody_reaches_is_told_once(tmp_path: Path) -> None:
    found = problems(tmp_path, play("a", "end") + menu("b", "c", "end") + menu("c", "b", "end") + END)
    assert found == ["5: state b is never reached, nor are c"]


def test_a_state_without_a_way_to_a_hangup_is_a_dead_end(tmp_path: Path) -> None:
    found = problems(tmp_path, menu("a", "end", "b") + menu("b", "b", "b", "b") + END)
    assert any("state b is a dead end" in item for item in found)
    assert not any("state a is a dead end" in item for item in found)


def test_prompts_that_follow_one_another_for_ever_are_an_endless_loop(tmp_path: Path) -> None:
    found = problems(tmp_path, menu("a", "end", "b") + play("b", "c") + play("c", "b") + END)
    assert "5: endless loop without input: b -> c -> b" in found


def test_a_time_out_that_leads_back_is_an_endless_loop(tmp_path: Path) -> None:
    assert problems(tmp_path, menu("a", "end", "a") + END) == ["4: endless loop without input: a -> a"]


def test_a_condition_that_leads_to_itself_is_an_endless_loop(tmp_path: Path) -> None:
    condition = "  a: {kind: condition, when: [{session: open, next: end}], otherwise: a}\n"
    assert problems(tmp_path, condition + END) == ["4: endless loop without input: a -> a"]


def test_a_loop_by_a_key_is_none(tmp_path: Path) -> None:
    assert problems(tmp_path, menu("a", "a", "end") + END) == []


def test_a_state_that_only_an_entry_reaches_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(f'name: t\nstart: a\nentries: {{"1": b}}\nstates:\n{play("a", "end")}{play("b", "end")}{END}')
    assert examine_flow(path, prompts=PROMPTS)[1] == []


def test_a_misspelt_next_state_does_not_hide_what_it_is(tmp_path: Path) -> None:
    assert problems(tmp_path, play("a", "ende") + END) == ["4: no state named ende", "5: state end is never reached"]
