"""Which calls are somebody's demand, and how they are flagged."""

from typing import Any

import pytest

from tickets.call_facts import CallFacts

TALKED = {"kind": "joined", "party": "8001", "role": "seat"}
QUEUED = {"kind": "queued", "queue": "operator"}
ALARM = {"kind": "alarm", "words": ["着火", "救命"]}
PROGRESS = {"kind": "variable", "name": "ticket_number", "value": "20260105000018"}


def facts(*entries: dict[str, Any], inbound_flow: bool = True, caller: str = "13910001234") -> CallFacts:
    return CallFacts.of_entries(entries, inbound_flow=inbound_flow, caller=caller)


@pytest.mark.parametrize(
    "entry", [{"kind": "demand"}, TALKED, {"kind": "call_back", "queue": "operator"}, ALARM, QUEUED]
)
def test_a_demand_a_person_a_wish_to_be_called_back_an_alarm_or_a_wait_in_vain_becomes_a_ticket(
    entry: dict[str, Any],
) -> None:
    assert facts(entry).becomes_ticket(numbered=False, spoke=False)
    assert not facts(entry, inbound_flow=False).becomes_ticket(numbered=False, spoke=True)


@pytest.mark.parametrize("entries", [(), (PROGRESS,), ({"kind": "joined", "party": "9001", "role": "supervisor"},)])
def test_a_call_in_which_nothing_was_wanted_becomes_none(entries: tuple[dict[str, Any], ...]) -> None:
    assert not facts(*entries).becomes_ticket(numbered=False, spoke=False)


def test_words_of_one_who_pressed_nothing_are_a_demand_but_not_of_one_who_asked_for_progress() -> None:
    assert facts().becomes_ticket(numbered=False, spoke=True)
    assert not facts(PROGRESS).becomes_ticket(numbered=False, spoke=True)


def test_who_asked_for_progress_and_then_told_a_demand_gets_a_ticket() -> None:
    assert facts(PROGRESS, {"kind": "demand"}).becomes_ticket(numbered=False, spoke=True)


def test_a_number_that_was_told_is_a_promise() -> None:
    assert facts(PROGRESS).becomes_ticket(numbered=True, spoke=False)


def test_flags_say_what_is_to_be_done() -> None:
    assert facts(ALARM, {"kind": "call_back"}).flags == ("emergency", "call_back_requested")
    assert facts(ALARM, ALARM).alarm_words == ("着火", "救命")
    assert facts(QUEUED).flags == ("abandoned",)
    assert facts(QUEUED, TALKED).flags == ()
    assert facts(QUEUED, {"kind": "demand"}).flags == ()


def test_who_waited_in_vain_without_a_number_cannot_be_called_back() -> None:
    assert not facts(QUEUED, caller="").becomes_ticket(numbered=False, spoke=False)
