"""Phones that several media processes know of: told by event, read again after an absence, never unlearned wrongly."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hotline.bus import Event, MemoryBus
from hotline.clock import ManualClock
from ivr.access.registrar import Contact, Registered, Registrar, Registration
from ivr.access.shared_bindings import CHANGED, KIND, SharedBindings, from_data, to_data

DESK, SOFT = "sip:8001@192.168.1.20:5060", "sip:8001@192.168.1.30:5062"
PATH = "<sip:10.0.0.5:5080;lr;received=sip:203.0.113.9:40000>"


class Direct:
    """A publisher that publishes at once."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus

    def publish(self, event: Event) -> None:
        self.bus.publish(event)

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None:
        self.bus.put_state(kind, key, data, ttl_s=ttl_s)

    def drop_state(self, kind: str, key: str) -> None:
        self.bus.drop_state(kind, key)


class Process:
    """The bindings and the registrar of a media process."""

    def __init__(self, node: str, bus: MemoryBus, clock: ManualClock) -> None:
        self.bus, self.clock = bus, clock
        self.changes: list[tuple[str, bool]] = []
        self.shared = SharedBindings(Direct(bus), node=node, now=clock.now, elapsed=clock.monotonic)  # type: ignore[arg-type]
        self.registrar = Registrar(store=self.shared, on_change=lambda *change: self.changes.append(change))
        self.shared.on_change = lambda extension: self.registrar.look(extension, now=clock.now())
        self._subscription = bus.subscribe(KIND)

    def register(self, contact: str, *, expires_s: int = 600, cseq: int = 1) -> None:
        request = Registration("8001", (Contact(contact, expires_s),), contact, cseq, ("10.0.0.6", 5080), path=(PATH,))
        assert isinstance(self.registrar.register(request, now=self.clock.now()), Registered)

    def hear(self) -> None:
        """The events up to now."""
        while (event := self._subscription.get(0)) is not None:
            self.shared.on_event(event)

    def read(self) -> None:
        """The states as they are now."""
        self.shared.load(self.bus.states(KIND), asked_at=self.clock.monotonic())

    def contacts(self) -> list[str]:
        return [binding.contact for binding in self.registrar.bindings("8001", now=self.clock.now())]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def pair(bus: MemoryBus, clock: ManualClock) -> tuple[Process, Process]:
    return Process("one", bus, clock), Process("two", bus, clock)


def test_a_phone_that_signs_in_at_one_is_known_at_the_other_with_its_path(pair: tuple[Process, Process]) -> None:
    one, two = pair
    one.register(DESK)
    two.hear()
    assert two.registrar.bindings("8001", now=two.clock.now()) == one.registrar.bindings("8001", now=one.clock.now())
    assert two.changes == one.changes == [("8001", True)]
    one.register(DESK, expires_s=0, cseq=2)
    two.hear()
    assert two.contacts() == []
    assert two.changes == one.changes == [("8001", True), ("8001", False)]
    assert one.bus.states(KIND) == {}


def test_phones_of_an_extension_at_two_processes_do_not_drive_each_other_out(pair: tuple[Process, Process]) -> None:
    one, two = pair
    one.register(DESK)
    two.register(SOFT)
    one.hear()
    two.hear()
    assert sorted(one.contacts()) == sorted(two.contacts()) == [DESK, SOFT]


def test_a_process_that_starts_later_reads_what_there_is(pair: tuple[Process, Process]) -> None:
    one, _ = pair
    one.register(DESK)
    late = Process("late", one.bus, one.clock)
    late.read()
    assert late.contacts() == [DESK]
    assert late.changes == [("8001", True)]


def test_what_was_missed_while_the_broker_was_away_is_caught_up(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    one.register(DESK)
    one.register(SOFT)
    two.hear()
    clock.advance(10)
    one.register(DESK, expires_s=0, cseq=2)
    one.register(SOFT, cseq=2, expires_s=900)
    two.read()
    assert two.contacts() == [SOFT]
    (binding,) = two.registrar.bindings("8001", now=clock.now())
    assert binding.cseq == 2


def test_reading_never_takes_away_what_is_our_own_or_came_meanwhile(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    asked_at = clock.monotonic()
    clock.advance(1)
    one.register(DESK)
    two.register(SOFT)
    two.hear()
    two.shared.load({}, asked_at=asked_at)
    assert sorted(two.contacts()) == [DESK, SOFT]
    clock.advance(1)
    two.shared.load({}, asked_at=clock.monotonic())
    assert two.contacts() == [SOFT]


def test_what_a_broker_that_started_empty_has_forgotten_is_told_again(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    one.register(DESK)
    two.hear()
    clock.advance(1)
    for key in one.bus.states(KIND):
        one.bus.drop_state(KIND, key)
    for _ in range(2):
        one.read()
        clock.advance(30)
    two.read()
    assert (one.contacts(), two.contacts()) == ([DESK], [DESK])


def test_what_another_process_is_just_taking_back_is_not_told_again(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    one.register(DESK)
    two.hear()
    clock.advance(1)
    two.register(DESK, expires_s=0, cseq=2)
    one.read()  # before the event comes
    one.hear()
    clock.advance(30)
    one.read()
    assert one.bus.states(KIND) == {}
    assert one.contacts() == []


def test_a_phone_is_over_in_time_everywhere_and_nobody_drops_a_refreshed_one(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    one.register(DESK, expires_s=60)
    two.hear()
    clock.advance(50)
    one.register(DESK, expires_s=60, cseq=2)  # of which two does not hear
    clock.advance(15)
    two.registrar.expire(now=clock.now())
    assert two.contacts() == []
    assert two.changes[-1] == ("8001", False)
    assert len(one.bus.states(KIND)) == 1
    two.read()
    assert two.contacts() == [DESK]


def test_a_phone_that_moves_to_another_process_belongs_to_that(
    pair: tuple[Process, Process], clock: ManualClock
) -> None:
    one, two = pair
    one.register(DESK)
    two.hear()
    two.register(DESK, cseq=2)
    one.hear()
    assert [each.registrar.bindings("8001", now=clock.now())[0].cseq for each in pair] == [2, 2]
    clock.advance(1)
    one.shared.load({}, asked_at=clock.monotonic())
    assert one.contacts() == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"node": "x"},
        {"node": "x", "extension": "8001", "contact": DESK, "binding": {"source": [1]}},
        {"binding": 3},
    ],
)
def test_what_cannot_be_read_is_passed_over(
    pair: tuple[Process, Process], clock: ManualClock, data: dict[str, Any]
) -> None:
    one, _ = pair
    one.shared.on_event(Event(name=CHANGED, at=clock.now(), data=data))
    one.shared.load({"x": data}, asked_at=clock.monotonic())
    assert one.contacts() == []


def test_a_binding_survives_being_written_down(pair: tuple[Process, Process], clock: ManualClock) -> None:
    one, _ = pair
    one.register(DESK)
    (binding,) = one.registrar.bindings("8001", now=clock.now())
    assert from_data(to_data(binding)) == binding
    with pytest.raises(ValueError):
        from_data(to_data(binding) | {"expires_at": datetime(2026, 1, 1).isoformat()})  # noqa: DTZ001


def test_one_that_is_over_already_is_not_learned(pair: tuple[Process, Process], clock: ManualClock) -> None:
    one, two = pair
    one.register(DESK, expires_s=60)
    clock.at += timedelta(seconds=61)
    two.hear()
    assert two.contacts() == []
