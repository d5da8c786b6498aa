"""Flows as a site writes them, walked without audio in virtual time: what no shipped flow shows."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ivr.announcements.prompts import PromptLibrary
from ivr.menu.events import Bridge, BridgeEnded, CancelDial, DialFailed, Play, SeatAnswered, StopPlaying
from ivr.menu.loader import load_flow
from ivr.menu.simulator import Simulation

PROMPTS = PromptLibrary.load(Path(__file__).resolve().parents[4] / "ivr/prompts/zh")
ENTRIES = """\
name: own
start: greet
entries: {"63100000": enterprise}
states:
  greet: {kind: play, play: [notice], next: {done: end}}
  enterprise: {kind: play, play: [goodbye], next: {done: end}}
  end: {kind: hangup}
"""
HOURS = """\
name: own
start: look
holidays: own_days.yaml
hours: {office: {working_days: ["09:00-17:00"]}}
states:
  look: {kind: condition, when: [{hours: office, next: open}], otherwise: closed}
  open: {kind: play, play: [notice], next: {done: end}}
  closed: {kind: play, play: [after_hours], next: {done: end}}
  end: {kind: hangup}
"""
LANGUAGE = """\
name: own
start: choose
states:
  choose: {kind: menu, play: [notice], keys: {"1": english}, next: {timeout: own, invalid: own}}
  english: {kind: play, set: {language: en}, play: [goodbye], next: {done: end}}
  own: {kind: play, play: [goodbye], next: {done: end}}
  end: {kind: hangup}
"""
DIAL = """\
name: dial
start: call
variables: {target: "8001"}
states:
  call: {kind: dial, target: "{target}", timeout_s: 20, music: hold_music, next: {ended: end, failed: sorry}}
  sorry: {kind: play, play: [not_connected], next: {done: end}}
  end: {kind: hangup}
"""


def written(folder: Path, text: str, *, at: datetime | None = None) -> Simulation:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return Simulation(load_flow(path, prompts=frozenset(PROMPTS.names)), at=at)


@pytest.mark.parametrize(("called", "prompt"), [("12345", "notice"), ("63100000", "goodbye"), ("", "notice")])
def test_a_called_number_begins_at_its_entry(tmp_path: Path, called: str, prompt: str) -> None:
    simulation = written(tmp_path, ENTRIES)
    simulation.answer(called=called)
    assert simulation.heard == [prompt]


@pytest.mark.parametrize(("day", "prompt"), [(5, "after_hours"), (6, "notice"), (10, "notice"), (11, "after_hours")])
def test_hours_go_by_the_sites_own_holidays(tmp_path: Path, day: int, prompt: str) -> None:
    days = 'years:\n  2026:\n    off: ["2026-01-05"]\n    working: ["2026-01-10"]\n'  # a Monday, a Saturday
    (tmp_path / "own_days.yaml").write_text(days, encoding="utf-8")
    simulation = written(tmp_path, HOURS, at=datetime(2026, 1, day, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    simulation.answer()
    assert simulation.heard == [prompt]


def test_a_chosen_language_is_asked_for_from_then_on(tmp_path: Path) -> None:
    simulation = written(tmp_path, LANGUAGE)
    simulation.answer()
    simulation.press("1")
    spoken = [(command.items, command.language) for command in simulation.commands if isinstance(command, Play)]
    assert spoken == [(("notice",), ""), (("goodbye",), "en")]


@pytest.fixture
def dialling(tmp_path: Path) -> Simulation:
    simulation = written(tmp_path, DIAL)
    simulation.answer()
    return simulation


def test_a_dialled_party_is_bridged(dialling: Simulation) -> None:
    assert dialling.commands[0].target == "8001"  # type: ignore[union-attr]
    assert dialling.feed(SeatAnswered("8001")) == [StopPlaying(), Bridge("8001")]
    dialling.wait(1000)
    dialling.feed(BridgeEnded())
    assert dialling.over


def test_a_dialled_party_that_fails_or_never_answers_is_told(dialling: Simulation) -> None:
    dialling.feed(DialFailed("busy"))
    assert CancelDial() not in dialling.commands
    assert dialling.heard[-1] == "not_connected"


def test_a_dial_without_an_end_is_cancelled(dialling: Simulation) -> None:
    dialling.wait(21)
    assert CancelDial() in dialling.commands
    assert dialling.heard[-1] == "not_connected"
