"""The menu machine and its loader."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from ivr.menu.machine import (
    Answered,
    DemandRecorded,
    Digit,
    Hangup,
    MenuCommand,
    MenuEvent,
    MenuMachine,
    MenuState,
    NumberAssigned,
    Play,
    PlaybackEnded,
    RequestNumber,
    SpeechEnded,
    SpeechStarted,
    StopPlaying,
    TimePassed,
    load_flow,
)

INTAKE = Path(__file__).resolve().parents[4] / "ivr/flows/intake.yaml"
PROMPTS = frozenset(
    re.findall(
        r"[a-z_]+",
        """
    notice say_demand no_speech registering number_is lookup_is registered_without_number thanks goodbye_no_speech
""",
    )
)
NUMBER = NumberAssigned("YQ20260105000018", "123456")
MACHINE = MenuMachine(load_flow(INTAKE, prompts=PROMPTS))


class Walk:
    """Feeds events at growing times and keeps what came out."""

    def __init__(self) -> None:
        self.state = MenuState()
        self.now = 0.0
        self.commands: list[MenuCommand] = []

    def feed(self, event: MenuEvent, *, after: float = 0.1) -> list[MenuCommand]:
        self.now += after
        self.state, commands = MACHINE.step(self.state, event, self.now)
        self.commands += commands
        return commands

    def wait(self) -> list[MenuCommand]:
        """Lets the machine's own deadline pass."""
        assert self.state.deadline is not None
        self.now = self.state.deadline
        return self.feed(TimePassed(int(self.now * 1000)), after=0.0)


def at_demand() -> Walk:
    walk = Walk()
    walk.feed(Answered())
    walk.feed(PlaybackEnded())
    return walk


def test_notice_is_played_at_once_and_cannot_be_skipped() -> None:
    walk = Walk()
    assert walk.feed(Answered()) == [Play(("notice",))]
    assert walk.feed(Digit("#", 200)) == []
    assert walk.feed(SpeechStarted(300)) == []
    assert walk.feed(PlaybackEnded()) == [Play(("say_demand",))]


def test_hash_ends_the_demand_and_the_number_is_read_out() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    assert walk.feed(Digit("#", 21000)) == [DemandRecorded(9000, 21000), RequestNumber()]
    assert walk.feed(NUMBER) == [Play(("number_is", "say:YQ20260105000018", "lookup_is", "say:123456"))]
    assert walk.feed(PlaybackEnded()) == [Play(("thanks",))]
    assert walk.feed(PlaybackEnded()) == [Hangup()]


def test_four_seconds_of_silence_after_speech_end_the_demand() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    walk.feed(SpeechEnded(12000))
    start = walk.now
    assert walk.wait()[0] == DemandRecorded(9000, int((start + 4) * 1000))


def test_a_pause_shorter_than_the_silence_does_not_end_the_demand() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    walk.feed(SpeechEnded(12000))
    walk.feed(SpeechStarted(15000), after=3.9)
    assert walk.feed(TimePassed(17000), after=2.0) == []
    assert walk.feed(Digit("#", 20000))[0] == DemandRecorded(9000, 20000)


def test_a_demand_of_five_minutes_is_ended() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    began = walk.now
    assert isinstance(walk.wait()[0], DemandRecorded)
    assert walk.now == pytest.approx(began + 300)


def test_a_caller_who_speaks_before_he_is_asked_to_is_heard() -> None:
    walk = Walk()
    walk.feed(Answered())
    walk.feed(SpeechStarted(4000))
    assert walk.feed(PlaybackEnded()) == [Play(("say_demand",))]
    walk.feed(PlaybackEnded())
    assert walk.feed(TimePassed(33_000), after=29.0) == []
    walk.feed(SpeechEnded(34_000), after=1.0)
    assert walk.wait()[0] == DemandRecorded(4000, int(walk.now * 1000))


def test_one_who_fell_silent_at_the_request_has_its_time_and_the_silence_after_it_to_go_on() -> None:
    walk = Walk()
    walk.feed(Answered())
    walk.feed(SpeechStarted(4000))
    walk.feed(PlaybackEnded())
    walk.feed(SpeechEnded(5000))
    assert walk.feed(TimePassed(10_000), after=5.0) == []
    walk.feed(PlaybackEnded())
    asked = walk.now
    walk.wait()
    assert walk.now == pytest.approx(asked + 4)


def test_one_who_fell_silent_before_the_request_is_not_heard_yet() -> None:
    walk = Walk()
    walk.feed(Answered())
    walk.feed(SpeechStarted(300))
    walk.feed(SpeechEnded(900))
    walk.feed(PlaybackEnded())
    walk.feed(PlaybackEnded())
    assert walk.wait() == [Play(("no_speech",))]


def test_speaking_over_the_request_stops_it() -> None:
    walk = at_demand()
    assert walk.feed(SpeechStarted(8000)) == [StopPlaying()]
    assert walk.feed(Digit("#", 12000))[0] == DemandRecorded(8000, 12000)


def test_a_silent_caller_is_asked_once_more_and_then_left() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    assert walk.wait() == [Play(("no_speech",))]
    walk.feed(PlaybackEnded())
    assert walk.wait() == [Play(("goodbye_no_speech",))]
    assert walk.feed(PlaybackEnded()) == [Hangup()]
    assert RequestNumber() not in walk.commands


def test_without_an_answer_in_time_the_caller_hears_that_staff_will_call() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    walk.feed(Digit("#", 12000))
    assert walk.wait() == [Play(("registering",)), RequestNumber()]
    walk.feed(PlaybackEnded())
    assert walk.wait() == [Play(("registered_without_number",))]
    assert walk.feed(NUMBER) == []
    assert walk.feed(PlaybackEnded()) == [Play(("thanks",))]


def test_a_number_that_comes_late_is_read_out_after_the_announcement() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    walk.feed(Digit("#", 12000))
    walk.wait()
    assert walk.feed(NUMBER) == []
    assert isinstance(walk.feed(PlaybackEnded())[0], Play)
    assert walk.state.name == "tell_number"


def test_star_repeats_the_number() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.feed(SpeechStarted(9000))
    walk.feed(Digit("#", 12000))
    readout = walk.feed(NUMBER)
    assert walk.feed(Digit("*", 15000)) == [StopPlaying(), *readout]


def test_nothing_follows_a_hangup() -> None:
    walk = at_demand()
    walk.feed(PlaybackEnded())
    walk.wait()
    walk.feed(PlaybackEnded())
    walk.wait()
    walk.feed(PlaybackEnded())
    assert walk.state.over
    assert [walk.feed(event) for event in (Answered(), NUMBER, Digit("*", 1))] == [[], [], []]


EVENTS = st.one_of(
    st.just(PlaybackEnded()),
    st.builds(Digit, st.sampled_from("0123456789*#"), st.integers(0, 10**6)),
    st.builds(SpeechStarted, st.integers(0, 10**6)),
    st.builds(SpeechEnded, st.integers(0, 10**6)),
    st.builds(TimePassed, st.integers(0, 10**6)),
    st.just(NUMBER),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 400)), max_size=60))
def test_any_order_of_events_is_survived_and_hangs_up_at_most_once(events: list[tuple[MenuEvent, float]]) -> None:
    walk = Walk()
    walk.feed(Answered())
    for event, after in events:
        walk.feed(event, after=after)
        assert walk.state.over or walk.state.name in MACHINE.flow.states
    assert walk.commands.count(Hangup()) <= 1
    assert walk.state.over == (Hangup() in walk.commands)


@given(st.lists(EVENTS, max_size=30))
def test_a_caller_is_never_left_without_something_to_come(events: list[MenuEvent]) -> None:
    """In every state either something plays or a deadline is set."""
    walk = Walk()
    walk.feed(Answered())
    for event in events:
        walk.feed(event)
        assert walk.state.over or walk.state.playing or walk.state.deadline is not None


GOOD = """\
name: test
start: hello
states:
  hello:
    kind: play
    play: [notice]
    next: {done: end}
  end:
    kind: hangup
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("start: hello", "start: nowhere", 2, "nowhere"),
        ("play: [notice]", "play: [notise]", 6, "notise"),
        ("play: [notice]", "play: []", 5, "needs prompts"),
        ("{done: end}", "{done: finish}", 7, "finish"),
        ("{done: end}", "{finished: end}", 7, "finished"),
        ("kind: hangup", "kind: dance", 9, "dance"),
        ("kind: play", "kind: play\n    colour: red", 6, "colour"),
        ("kind: play", "kind: number", 7, "done"),
        ("name: test\n", "", 1, "name"),
        ("next: {done: end}", "next: {done: end}\n    keys: {E: end}", 8, "E"),
    ],
)
def test_a_wrong_flow_is_refused_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_flow(path, prompts=PROMPTS)
    assert f"line {line}:" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [", "states: 3\nname: a\nstart: b\n"])
def test_what_is_no_flow_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"flow\.yaml"):
        load_flow(path, prompts=PROMPTS)


def test_a_missing_flow_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_flow(tmp_path / "none.yaml", prompts=PROMPTS)


@pytest.mark.parametrize("seconds", ["0", "-1", "3601", "soon", "nan"])
def test_a_time_out_of_bounds_is_refused(tmp_path: Path, seconds: str) -> None:
    path = tmp_path / "flow.yaml"
    text = INTAKE.read_text(encoding="utf-8").replace("timeout_s: 6", f"timeout_s: {seconds}")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="seconds between"):
        load_flow(path, prompts=PROMPTS)
