"""The shipped flows, walked without audio in virtual time."""

from datetime import datetime

import pytest
from flow_rig import HOLIDAY, LOADED, NAMES, NIGHT, NUMBER, PROMPTS, WORKED_SUNDAY, call, chosen
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.menu.events import (
    Bridge,
    BridgeEnded,
    CallbackRequested,
    CancelDial,
    DemandRecorded,
    DialFailed,
    Digit,
    EmergencyHeard,
    Enqueue,
    Heard,
    LeaveQueue,
    LookedUp,
    LookUp,
    MenuEvent,
    Play,
    PlaybackEnded,
    QueueLeft,
    QueuePosition,
    RequestCallback,
    RequestNumber,
    SeatAnswered,
    SessionChanged,
    SetVariable,
    SpeechEnded,
    SpeechStarted,
    StartAlarm,
    StopPlaying,
    TimePassed,
)
from ivr.menu.simulator import Simulation
from tickets.lifecycle import State

# --- menu ---


def test_one_records_the_demand_and_reads_out_its_number() -> None:
    simulation = chosen("1")
    simulation.speak(10)
    simulation.press("#")
    assert RequestNumber() in simulation.commands
    simulation.feed(NUMBER)
    assert "say:123456" in simulation.heard
    simulation.wait(60)
    assert simulation.over
    assert any(isinstance(command, DemandRecorded) for command in simulation.commands)


@pytest.mark.parametrize(("key", "queue"), [("2", "enquiry"), ("3", "enterprise"), ("0", "operator")])
def test_people_are_reached_in_office_hours(key: str, queue: str) -> None:
    assert Enqueue(queue) in chosen(key).commands
    assert Enqueue(queue) in chosen(key, at=WORKED_SUNDAY).commands


@pytest.mark.parametrize("at", [NIGHT, HOLIDAY])
def test_outside_of_office_hours_a_message_or_a_call_back_is_offered(at: datetime) -> None:
    simulation = chosen("2", at=at)
    assert "after_hours" in simulation.heard
    simulation.press("2")
    assert RequestCallback("enquiry") in simulation.commands


def test_the_operator_answers_day_and_night() -> None:
    assert Enqueue("operator") in chosen("0", at=NIGHT).commands


def test_hours_count_as_closed_where_the_time_of_day_is_not_known() -> None:
    simulation = call(at=None)
    simulation.listen()
    simulation.press("2")
    assert "after_hours" in simulation.heard


def test_the_live_session_is_offered_and_reached_while_it_is_open() -> None:
    simulation = chosen("5", session_open=True)
    assert "menu_live" in simulation.heard
    assert Enqueue("live") in simulation.commands


def test_the_live_session_is_not_offered_while_it_is_closed() -> None:
    simulation = chosen("5")
    assert "menu_live" not in simulation.heard
    assert "live_closed" in simulation.heard
    assert Enqueue("live") not in simulation.commands


def test_a_session_that_opens_during_the_menu_can_be_chosen() -> None:
    simulation = call()
    simulation.listen()
    simulation.feed(SessionChanged(True))
    simulation.press("5")
    assert Enqueue("live") in simulation.commands


def test_a_wrong_key_is_told_and_after_two_more_the_call_ends() -> None:
    simulation = chosen("7")
    assert simulation.heard[-2:] == ["wrong_key", "menu_main"]
    simulation.press("8")
    simulation.press("9")
    simulation.wait(10)
    assert simulation.over


def test_who_presses_no_key_may_speak() -> None:
    simulation = call()
    simulation.wait(34)
    assert simulation.heard.count("no_key") == 2
    assert simulation.state.name == "demand"


def test_a_key_interrupts_the_prompt() -> None:
    simulation = call()
    simulation.listen()
    simulation.feed(Digit("4", 2000))
    assert StopPlaying() in simulation.commands
    assert simulation.state.name == "ask_number"


# --- progress ---

ASKED = LookUp("ticket_progress", {"ticket_number": "20260105000018", "ticket_code": "123456", "caller": ""})


def asked_for_progress() -> Simulation:
    simulation = chosen("4")
    simulation.press("20260105000018")
    simulation.press("123456")
    return simulation


def test_progress_is_looked_up_by_number_and_code() -> None:
    simulation = asked_for_progress()
    assert ASKED in simulation.commands
    assert SetVariable("ticket_number", "20260105000018") in simulation.commands
    simulation.feed(LookedUp({"status": "handling"}))
    assert simulation.heard[-1] == "progress_handling"


@pytest.mark.parametrize("status", list(State))
def test_every_state_of_a_ticket_has_an_announcement(status: State) -> None:
    simulation = asked_for_progress()
    simulation.feed(LookedUp({"status": status}))
    assert simulation.heard[-1].startswith("progress_")
    if status in (State.CLOSED, State.ARCHIVED):
        assert simulation.heard[-1] == "progress_closed"


def test_an_unknown_ticket_and_a_silent_worker_are_told() -> None:
    simulation = asked_for_progress()
    simulation.feed(LookedUp(None))
    assert "progress_not_found" in simulation.heard
    simulation = asked_for_progress()
    simulation.wait(6)
    assert "progress_unavailable" in simulation.heard


def test_too_few_digits_are_asked_for_again() -> None:
    simulation = chosen("4")
    simulation.press("2026#")
    assert simulation.heard[-2:] == ["wrong_input", "ask_ticket_number"]
    simulation.press("20260105000018")
    assert simulation.state.name == "ask_code"


def test_digits_that_stop_coming_are_asked_for_again_from_the_first() -> None:
    simulation = chosen("4")
    simulation.press("2026")
    simulation.wait(8)
    assert simulation.heard[-2:] == ["wrong_input", "ask_ticket_number"]
    assert simulation.state.digits == ""


# --- queue ---


def test_waiting_is_music_with_position_and_wait_between() -> None:
    simulation = call("queue")
    simulation.listen()
    assert simulation.commands[-1] == Play(("hold_music",), loop=True)
    simulation.feed(QueuePosition(3, 130.0))
    assert simulation.heard[-7:] == [
        *("queue_place", "ordinal:3", "queue_place_end"),
        *("queue_wait_about", "count:3", "queue_wait_end", "leave_or_call_back"),
    ]
    simulation.listen()
    assert simulation.commands[-1] == Play(("hold_music",), loop=True)


def test_the_announcement_does_not_cut_the_first_prompt() -> None:
    simulation = call("queue")
    assert simulation.feed(QueuePosition(1, 20.0)) == []
    assert simulation.state.context.value("wait_minutes") == "1"


def test_a_seat_that_answers_is_bridged_and_keys_do_nothing_then() -> None:
    simulation = call("queue")
    simulation.listen()
    assert simulation.feed(SeatAnswered("8001")) == [StopPlaying(), Bridge("8001")]
    simulation.press("12")
    assert simulation.feed(QueuePosition(1, 20.0)) == []
    assert simulation.feed(QueueLeft("timeout")) == []
    assert LeaveQueue() not in simulation.commands
    simulation.feed(BridgeEnded())
    simulation.wait(10)
    assert simulation.over


def test_one_leaves_the_queue_for_a_message() -> None:
    simulation = call("queue")
    simulation.press("1")
    assert LeaveQueue() in simulation.commands
    assert simulation.state.name == "demand"


def test_two_leaves_the_queue_and_promises_a_call_back() -> None:
    simulation = call("queue", queue="enterprise")
    simulation.press("2")
    assert simulation.commands.index(LeaveQueue()) < simulation.commands.index(RequestCallback("enterprise"))
    simulation.wait(20)
    assert simulation.over


def test_a_call_back_that_a_person_decides_on_is_promised() -> None:
    simulation = call("queue")
    simulation.feed(CallbackRequested())
    assert RequestCallback("operator") in simulation.commands


def test_overflow_offers_a_message_and_promises_a_call_back_to_the_silent() -> None:
    simulation = call("queue")
    simulation.feed(QueueLeft("full"))
    assert LeaveQueue() not in simulation.commands
    simulation.wait(40)
    assert "queue_overflow" in simulation.heard
    assert RequestCallback("operator") in simulation.commands
    assert simulation.over


# --- emergency ---

FIRE = EmergencyHeard(("着火",))


def test_danger_heard_while_speaking_is_announced_and_the_demand_goes_on() -> None:
    simulation = Simulation(LOADED["menu"], prompt_s=6.0)
    simulation.answer()
    simulation.listen()
    simulation.press("1")
    simulation.listen()
    simulation.feed(SpeechStarted(simulation.offset_ms))
    start = simulation.offset_ms
    assert simulation.feed(FIRE) == [StartAlarm(("着火",)), Play(("emergency",))]
    assert simulation.feed(SpeechStarted(simulation.offset_ms)) == []
    simulation.feed(SpeechEnded(simulation.offset_ms))
    simulation.wait(9)  # 6 s of announcement, and silence counts from its end
    assert not any(isinstance(command, DemandRecorded) for command in simulation.commands)
    simulation.wait(2)
    (recorded,) = [command for command in simulation.commands if isinstance(command, DemandRecorded)]
    assert recorded.start_ms == start


def test_the_alarm_is_raised_once_a_call() -> None:
    simulation = chosen("1")
    simulation.feed(FIRE)
    assert simulation.feed(FIRE) == []


def test_danger_heard_in_the_menu_repeats_the_menu_after_the_announcement() -> None:
    simulation = call()
    simulation.wait(3)
    simulation.feed(FIRE)
    simulation.wait(2)
    assert simulation.heard[-2:] == ["emergency", "menu_main"]


def test_danger_heard_while_waiting_goes_back_to_the_music() -> None:
    simulation = chosen("0")
    simulation.wait(4)
    simulation.feed(FIRE)
    simulation.wait(3)
    assert simulation.heard[-2:] == ["emergency", "hold_music"]


def test_danger_heard_by_a_seat_raises_the_alarm_and_interrupts_nobody() -> None:
    simulation = chosen("0")
    simulation.feed(SeatAnswered("8001"))
    assert simulation.feed(FIRE) == [StartAlarm(("着火",))]


def test_the_emergency_flow_announces_and_rings_the_emergency_queue() -> None:
    simulation = call("emergency")
    assert simulation.heard == ["emergency"]
    simulation.wait(3)
    assert Enqueue("emergency") in simulation.commands


# --- what holds in every flow ---

OFFSETS = st.integers(0, 10**6)
EVENTS: st.SearchStrategy[MenuEvent] = st.one_of(
    st.just(PlaybackEnded()),
    st.builds(Digit, st.sampled_from("0123456789*#A"), OFFSETS),
    st.builds(SpeechStarted, OFFSETS),
    st.builds(SpeechEnded, OFFSETS),
    st.builds(Heard, st.sampled_from(["联系了", "没解决", "满意", "啊"]), OFFSETS),
    st.builds(TimePassed, OFFSETS),
    st.sampled_from([NUMBER, FIRE, BridgeEnded(), CallbackRequested(), SessionChanged(True), SessionChanged(False)]),
    st.builds(QueuePosition, st.integers(1, 99), st.floats(0, 4000)),
    st.builds(SeatAnswered, st.just("8001")),
    st.builds(QueueLeft, st.sampled_from(["full", "timeout", "closed"])),
    st.builds(DialFailed, st.just("busy")),
    st.builds(LookedUp, st.none() | st.just({"status": "closed"})),
)


@settings(max_examples=200)
@given(st.sampled_from(NAMES), st.lists(st.tuples(EVENTS, st.floats(0, 30)), max_size=60), st.booleans())
def test_any_order_of_events_leaves_something_to_come(
    name: str, events: list[tuple[MenuEvent, float]], session_open: bool
) -> None:
    simulation = call(name, session_open=session_open)
    queued = sum(isinstance(command, Enqueue) for command in simulation.commands)
    for event, after in events:
        simulation.now += after
        for command in simulation.feed(event):
            queued += isinstance(command, Enqueue)
            queued -= isinstance(command, LeaveQueue)
            assert not isinstance(command, CancelDial)
            if isinstance(command, Play):
                assert command.items
                for item in command.items:
                    PROMPTS.require(PROMPTS.expand(item))
        queued -= isinstance(event, QueueLeft | SeatAnswered) and simulation.state.undo is None and queued > 0
        state = simulation.state
        assert state.over or state.playing or state.connected or state.deadline is not None
        assert queued == (state.undo is not None)
    simulation.wait(4000)
    assert simulation.over or simulation.state.connected or simulation.state.music
