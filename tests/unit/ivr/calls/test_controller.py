"""Commands carried out on an exchange that notes what it was asked."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hotline.bus import Event
from hotline.clock import ManualClock
from hotline.commands import Command, Delivery, MemoryCommands, Outcome
from hotline.errors import ConflictError, NotFoundError
from ivr.announcements.prompts import PromptLibrary
from ivr.calls import control
from ivr.calls.control import REQUESTS
from ivr.calls.controller import HANDLERS, REMEMBERED, Controller
from ivr.media.mixer import Supervision

PROMPTS = PromptLibrary.load(Path(control.__file__).parents[1] / "prompts/zh")
MAX_AGE_S = 30.0
Asked = tuple[str, tuple[Any, ...]]


class Recorder:
    """Notes every method called on it, under a prefix."""

    def __init__(self, asked: list[Asked], prefix: str = "") -> None:
        self._asked = asked
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self._asked.append((self._prefix + name, given))


class FakeExchange:
    """An exchange with one call, `c1`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.error: Exception | None = None

    @property
    def seats(self) -> Any:
        return Recorder(self.asked, "seats.")

    def call(self, call_id: str) -> Any:
        if self.error is not None:
            raise self.error
        if call_id != "c1":
            raise NotFoundError(f"no call {call_id}")
        return Recorder(self.asked)

    def dial_out(self, *, call_id: str, extension: str, number: str) -> None:
        self.asked.append(("dial_out", (call_id, extension, number)))

    def start_flow(self, *, call_id: str, flow: str, number: str, variables: Mapping[str, str]) -> None:
        self.asked.append(("start_flow", (call_id, flow, number, dict(variables))))


class Rig:
    """A controller between an in-memory stream and an exchange."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.exchange = FakeExchange()
        self.commands = MemoryCommands(clock=self.clock)
        self.receiver = self.commands.receiver("n1")
        self.events: list[Event] = []
        self.controller = self.new_controller()

    def new_controller(self) -> Controller:
        return Controller(
            self.exchange,
            prompts=PROMPTS,
            clock=self.clock,
            max_age_s=MAX_AGE_S,
            finish=self.receiver.finish,
            publish=self.events.append,
        )

    def take(self) -> Delivery:
        delivery = self.receiver.receive(0)
        assert delivery is not None
        return delivery

    def run(self, *commands: Command) -> list[Outcome]:
        """Sends and carries out; the outcomes as events told them."""
        before = len(self.events)
        for command in commands:
            self.commands.send(command, node="n1")
            self.controller.carry_out(self.take())
        return [Outcome(event.data.get("error")) for event in self.events[before:]]

    def command(self, name: str, *, call_id: str = "c1", **arguments: Any) -> Command:
        return Command(name=name, at=self.clock.now(), call_id=call_id, arguments=arguments, actor="zhang")


@pytest.fixture
def rig() -> Rig:
    return Rig()


CASES: Mapping[str, tuple[dict[str, Any], Asked]] = {
    "answer": ({}, ("answer", ())),
    "hang_up": ({}, ("hang_up", ("caller",))),
    "hold": ({"party": "8001"}, ("hold", ("8001",))),
    "resume": ({"party": "8001"}, ("resume", ("8001",))),
    "mute": ({"party": "8001"}, ("mute", ("8001",))),
    "unmute": ({"party": "8001"}, ("unmute", ("8001",))),
    "transfer": ({"party": "8001", "target": "8002"}, ("transfer", ("8001", "8002"))),
    "consult": ({"party": "8001", "target": "8002"}, ("consult", ("8001", "8002"))),
    "complete_transfer": ({"party": "8001"}, ("complete_transfer", ("8001",))),
    "cancel_consultation": ({"party": "8001"}, ("cancel_consultation", ("8001",))),
    "transfer_to_queue": ({"party": "8001", "queue": "q"}, ("transfer_to_queue", ("8001", "q"))),
    "conference": ({"target": "8002"}, ("conference", ("8002",))),
    "supervise": ({"extension": "8009", "mode": "barge"}, ("supervise", ("8009", Supervision.BARGE))),
    "play": ({"items": ["digit_1"], "to": "8001"}, ("play", (("digit_1",), "8001"))),
    "send_digits": ({"digits": "1#"}, ("send_digits", ("1#", "caller"))),
    "pause_recording": ({}, ("pause_recording", ())),
    "resume_recording": ({}, ("resume_recording", ())),
    "dial_out": ({"extension": "8001", "number": "138"}, ("dial_out", ("c1", "8001", "138"))),
    "start_flow": (
        {"flow": "survey", "number": "138", "variables": {"ticket": "1"}},
        ("start_flow", ("c1", "survey", "138", {"ticket": "1"})),
    ),
    "seat_sign_in": (
        {"seat": "8001", "queues": ["q"], "skills": ["s"]},
        ("seats.sign_in", ("8001", ("q",), frozenset({"s"}))),
    ),
    "seat_sign_out": ({"seat": "8001"}, ("seats.sign_out", ("8001",))),
    "seat_ready": ({"seat": "8001"}, ("seats.ready", ("8001",))),
    "seat_away": ({"seat": "8001"}, ("seats.away", ("8001",))),
}


def test_every_command_is_carried_out_somehow() -> None:
    assert set(CASES) == set(REQUESTS)
    assert set(HANDLERS) == set(REQUESTS.values())


@pytest.mark.parametrize("name", REQUESTS)
def test_a_command_does_what_it_says_and_tells_that_it_is_done(rig: Rig, name: str) -> None:
    arguments, asked = CASES[name]
    sent = rig.command(name, **arguments)
    assert rig.run(sent) == [Outcome()]
    assert rig.exchange.asked == [asked]
    assert rig.commands.outcome(sent.id) == Outcome()
    (event,) = rig.events
    assert (event.name, event.at) == ("control.done", rig.clock.now())
    assert event.data == {"command_id": sent.id, "name": name, "call_id": "c1", "actor": "zhang"}


def test_a_command_sent_twice_is_carried_out_once_and_answered_twice_alike(rig: Rig) -> None:
    sent = rig.command("hold", party="8001")
    assert rig.run(sent, sent) == [Outcome(), Outcome()]
    assert len(rig.exchange.asked) == 1
    failing = rig.command("hold", call_id="c2", party="8001")
    assert rig.run(failing, failing) == [Outcome("no call c2")] * 2


def test_a_command_delivered_again_because_its_outcome_was_not_heard_is_not_carried_out_again(rig: Rig) -> None:
    deaf = MemoryCommands(clock=rig.clock)
    receiver = deaf.receiver("n1")
    told: list[Outcome] = []
    controller = Controller(
        rig.exchange,
        prompts=PROMPTS,
        clock=rig.clock,
        max_age_s=MAX_AGE_S,
        finish=lambda _delivery, outcome: told.append(outcome),
        publish=rig.events.append,
    )
    deaf.send(rig.command("hold", party="8001"))
    for _ in range(2):
        delivery = receiver.receive(0)
        assert delivery is not None
        assert delivery.outcome is None
        controller.carry_out(delivery)
        rig.clock.advance(6)
    assert told == [Outcome(), Outcome()]
    assert len(rig.exchange.asked) == 1


def test_a_command_left_by_a_dead_process_is_carried_out_by_its_successor(rig: Rig) -> None:
    rig.commands.send(rig.command("hold", party="8001"), node="n1")
    rig.take()
    rig.receiver = rig.commands.receiver("n1")
    rig.controller = rig.new_controller()
    rig.controller.carry_out(rig.take())
    assert rig.exchange.asked == [("hold", ("8001",))]


def test_what_comes_too_late_to_begin_is_left_without_an_outcome(rig: Rig) -> None:
    sent = rig.command("hold", party="8001")
    rig.commands.send(sent, node="n1")
    delivery = rig.take()
    rig.clock.advance(3)
    rig.controller.carry_out(delivery)
    assert (rig.exchange.asked, rig.events) == ([], [])
    rig.clock.advance(3)
    rig.controller.carry_out(rig.take())
    assert rig.exchange.asked == [("hold", ("8001",))]


@pytest.mark.parametrize("seconds", [MAX_AGE_S + 1, -MAX_AGE_S - 1])
def test_an_old_command_and_one_of_the_future_are_refused(rig: Rig, seconds: float) -> None:
    sent = rig.command("hang_up")
    rig.clock.advance(seconds)
    (outcome,) = rig.run(sent)
    assert outcome.error is not None
    assert "valid are 30 s" in outcome.error
    assert rig.exchange.asked == []


def test_a_command_just_young_enough_is_carried_out(rig: Rig) -> None:
    sent = rig.command("hang_up")
    rig.clock.advance(MAX_AGE_S)
    assert rig.run(sent) == [Outcome()]


def test_a_refusal_is_told_as_it_is(rig: Rig) -> None:
    rig.exchange.error = ConflictError("8001 is in the call already")
    assert rig.run(rig.command("conference", target="8001")) == [Outcome("8001 is in the call already")]
    assert rig.events[0].name == "control.failed"
    assert rig.run(rig.command("send_digits", digits="x")) == [Outcome("digits: 1 to 32 of 0-9, A-D, * and #")]


def test_a_fault_of_ours_is_told_without_its_inside_and_the_next_command_is_carried_out(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.exchange.error = RuntimeError("at line 7")
    assert rig.run(rig.command("hold", party="8001")) == [Outcome("internal error")]
    assert "RuntimeError" in caplog.text
    rig.exchange.error = None
    assert rig.run(rig.command("hold", party="8001")) == [Outcome()]


def test_the_log_holds_no_number_and_no_name(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        rig.run(
            rig.command("dial_out", extension="8001", number="13800138000"),
            rig.command("transfer", party="8001", target="13800138000", call_id="c2"),
            rig.command("dial_out", extension="8001", number="13800138000 x"),
        )
    assert "dial_out" in caplog.text
    assert "13800138000" not in caplog.text
    assert "zhang" not in caplog.text


def test_only_so_many_outcomes_are_remembered(rig: Rig) -> None:
    for number in range(REMEMBERED + 5):
        delivery = Delivery(
            command=Command(id=str(number), name="seat_ready", at=rig.clock.now(), arguments={"seat": "8001"}),
            stream="n1",
            entry="1",
            begin_by=rig.clock.monotonic(),
        )
        if number == 0:
            rig.run(delivery.command)  # there is a stream now, whose entries `finish` drops
        else:
            rig.controller.carry_out(delivery)
    assert len(rig.controller._outcomes) == REMEMBERED
