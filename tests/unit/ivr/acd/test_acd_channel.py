"""An ordered stream over frames that get lost, doubled and overtaken."""

from hypothesis import given
from hypothesis import strategies as st

from ivr.acd.channel import MAX_ITEMS, Channel
from ivr.acd.events import CallerLeft
from ivr.acd.wire import Item

Datagram = tuple[int, int, tuple[Item, ...]]


def datagram(channel: Channel) -> Datagram:
    first, items = channel.frame()
    return first, channel.received, items


def take(channel: Channel, frame: Datagram) -> list[str]:
    first, received, items = frame
    return [item.call for item in channel.take(first=first, received=received, items=items)]  # type: ignore[union-attr]


@given(st.lists(st.sampled_from(["send", "frame", "acknowledge", "old frame", "old acknowledgement"]), max_size=60))
def test_whatever_happens_to_frames_items_arrive_once_and_in_order(steps: list[str]) -> None:
    here, there = Channel(), Channel()
    sent: list[str] = []
    got: list[str] = []
    frames: list[Datagram] = [datagram(here)]
    acknowledgements: list[Datagram] = [datagram(there)]
    for number, step in enumerate(steps):
        match step:
            case "send":
                sent.append(f"c{number}")
                here.send(CallerLeft(sent[-1]))
            case "frame":
                frames.append(datagram(here))
                got += take(there, frames[-1])
            case "acknowledge":
                acknowledgements.append(datagram(there))
                take(here, acknowledgements[-1])
            case "old frame":
                got += take(there, frames[number % len(frames)])
            case _:
                take(here, acknowledgements[number % len(acknowledgements)])
        assert got == sent[: len(got)]
    got += take(there, datagram(here))
    take(here, datagram(there))
    assert got == sent
    assert here.frame() == (len(sent), ())


def test_a_burst_larger_than_a_frame_follows_its_acknowledgements() -> None:
    here, there = Channel(), Channel()
    for number in range(2 * MAX_ITEMS + 1):
        here.send(CallerLeft(str(number)))
    got: list[str] = []
    frames = 0
    while here.due:
        got += take(there, datagram(here))
        assert there.due
        take(here, datagram(there))
        frames += 1
    assert got == [str(number) for number in range(2 * MAX_ITEMS + 1)]
    assert frames == 3


def test_a_frame_without_items_asks_for_no_acknowledgement() -> None:
    here, there = Channel(), Channel()
    take(there, datagram(here))
    assert not there.due


def test_what_follows_a_gap_is_not_taken() -> None:
    assert take(Channel(), (1, 0, (CallerLeft("c2"),))) == []
