import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.masking import HIDDEN
from console import stream as stream_module
from console.stream import MASK_LIMIT, PRESENTERS, QUEUE_LIMIT, CaptionMask, EventHub, EventStream, encode, present_call
from hotline.bus import Event, MemoryBus
from hotline.errors import UnavailableError

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
DIGITS = "0123456789零一二三四五六七八九幺"


def event(name: str, **data: Any) -> Event:
    return Event(name=name, at=NOW, data=data, id="e1")


def caption(text: str) -> Event:
    return event("caption.partial", call_id="c", speaker="caller", text=text, start_ms=10)


def test_an_event_becomes_a_named_message_with_its_id_and_masked_numbers() -> None:
    message = encode(
        event("call.answered", call_id="c", caller="13800138000", called="12345", answered_at="2026"), CaptionMask()
    )
    assert message is not None
    lines = message.splitlines()
    assert lines[:2] == ["id: e1", "event: call.answered"]
    assert message.endswith("\n\n")
    assert json.loads(lines[2].removeprefix("data: "))["caller"] == "138****8000"


def test_captions_lose_spoken_numbers_and_fields_nobody_listed() -> None:
    secret = event("caption.final", call_id="c", speaker="caller", text="幺三八零零幺三八零零零", start_ms=1, token="x")
    message = encode(secret, CaptionMask())
    assert message is not None
    assert "幺三八****八零零零" in message
    assert "token" not in message


@pytest.mark.parametrize(
    "broken",
    [
        event("call.answered", caller="1"),
        event("caption.final", call_id="c", speaker="caller", text="x", start_ms="soon"),
        event("caption.final", call_id="c", speaker="caller", text="x", start_ms=float("inf")),
        event("ticket.created"),
        event("call.invented", call_id="c"),
    ],
)
def test_events_without_their_fields_or_unknown_stay_inside(broken: Event) -> None:
    assert encode(broken, CaptionMask()) is None


def test_pages_are_told_how_late_captions_are() -> None:
    message = encode(event("caption.behind", call_id="c", seconds=3), CaptionMask())
    assert message is not None
    assert json.loads(message.splitlines()[2].removeprefix("data: ")) == {"call_id": "c", "seconds": 3}


def said(text: str, *, call_id: str = "c", speaker: str = "caller") -> dict[str, Any]:
    return {"call_id": call_id, "speaker": speaker, "text": text, "start_ms": 0}


def test_a_number_told_in_several_breaths_does_not_appear_whole() -> None:
    mask = CaptionMask()
    shown = [mask.mask(said(text), final=True)["text"] for text in ("电话138。", "0013。", "8000。")]
    assert shown == ["电话138。", "****。", "8000。"], "as 138****8000 is shown"
    assert mask.mask(said("8000", speaker="seat"), final=True)["text"] == "8000", "another speaker"
    assert mask.mask(said("8000", call_id="d"), final=True)["text"] == "8000", "another call"


def test_a_partial_is_masked_with_the_last_final_and_not_remembered() -> None:
    mask = CaptionMask()
    mask.mask(said("电话1380。"), final=True)
    assert mask.mask(said("013"), final=False)["text"] == "***"
    assert mask.mask(said("0138000"), final=False)["text"] == "*******"


@given(st.text(DIGITS, min_size=7, max_size=18), st.lists(st.integers(1, 18), max_size=6))
def test_growing_captions_never_tell_a_number_digit_by_digit(number: str, ends: list[int]) -> None:
    mask, seen = CaptionMask(), set[int]()
    for end in sorted(ends):
        shown = mask.mask(said("电话是" + number[:end]), final=False)["text"][3:]
        seen |= {at for at, character in enumerate(shown) if character != HIDDEN}
    assert seen <= {0, 1, 2}
    shown = mask.mask(said("电话是" + number + "。"), final=True)["text"][3:-1]
    hidden = [at for at, character in enumerate(shown) if character == HIDDEN]
    assert len(hidden) >= 2
    assert not seen & set(hidden)


def test_the_mask_forgets_calls_that_are_over_and_stays_bounded() -> None:
    mask = CaptionMask()
    mask.mask(said("电话1380。"), final=True)
    encode(event("call.ended", call_id="c"), mask)
    assert mask.mask(said("1380"), final=False)["text"] == "138*", "more may follow"
    for number in range(2 * MASK_LIMIT + 1):
        mask.mask(said("x", call_id=str(number)), final=True)
    assert len(mask._before) <= MASK_LIMIT


def test_a_text_with_line_breaks_stays_one_message() -> None:
    message = encode(caption("一\n\n二\r三"), CaptionMask())
    assert message is not None
    assert message.count("\n\n") == 1
    assert len(message.splitlines()) == 4


def test_a_call_in_progress_is_masked_with_its_captions() -> None:
    state = {
        "call_id": "c",
        "caller": "13800138000",
        "called": "12345",
        "node": "n",
        "answered_at": "2026-01-05T01:30:00+00:00",
        "captions": [{"speaker": "caller", "text": "打13800138000", "start_ms": 1, "end_ms": 2}],
    }
    assert "13800138000" not in json.dumps(present_call(state))
    with pytest.raises(KeyError):
        present_call({"caller": "1"})


async def test_a_page_gets_its_events_only() -> None:
    bus = MemoryBus()
    hub = EventHub(bus, max_streams=2)
    hub.start()
    stream = hub.open({"caption.partial"})
    messages = stream.messages(life_s=10)
    try:
        assert (await anext(messages)).startswith("retry:")
        bus.publish(event("ticket.created", number="YQ1", call_id="c"))
        bus.publish(caption("第一句"))
        assert "第一句" in await anext(messages)
    finally:
        await messages.aclose()
        await hub.close()


async def test_an_event_that_cannot_be_shown_is_given_up_and_the_next_arrives(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_data: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("badly presented")

    monkeypatch.setitem(PRESENTERS, "ticket.created", broken)
    monkeypatch.setattr(stream_module, "POLL_S", 0.01)
    bus = MemoryBus()
    hub = EventHub(bus, max_streams=1)
    hub.start()
    messages = hub.open({"caption.partial", "ticket.created"}).messages(life_s=10)
    try:
        await anext(messages)
        bus.publish(event("ticket.created", number="YQ1"))
        bus.publish(caption("第一句"))
        assert "第一句" in await anext(messages)
    finally:
        await messages.aclose()
        await hub.close()
    assert caplog.text.count("an event was given up") == 1


async def test_silence_is_broken_by_heartbeats_and_ends_with_the_life() -> None:
    stream = EventStream({"call.ended"})
    said = [message async for message in stream.messages(life_s=0.03, heartbeat_s=0.01)]
    assert said[0] == "retry: 2000\n\n"
    assert set(said[1:]) == {": still here\n\n"}


async def test_a_slow_page_is_cut_off_and_the_others_are_not() -> None:
    hub = EventHub(MemoryBus(), max_streams=2)
    slow, quick = hub.open({"caption.partial"}), hub.open({"caption.partial"})
    reading = quick.messages(life_s=10)
    await anext(reading)
    for number in range(QUEUE_LIMIT + 1):
        hub._fan_out("caption.partial", str(number))
        assert await anext(reading) == str(number)
    assert [message async for message in slow.messages(life_s=10)] == ["retry: 2000\n\n"]
    hub._fan_out("caption.partial", "after")
    assert await anext(reading) == "after"
    await reading.aclose()


async def test_too_many_pages_are_refused_until_one_goes() -> None:
    hub = EventHub(MemoryBus(), max_streams=1)
    first = hub.open({"call.ended"})
    with pytest.raises(UnavailableError):
        hub.open({"call.ended"})
    hub.discard(first)
    hub.open({"call.ended"})


async def test_stopping_ends_the_streams_and_refuses_new_ones() -> None:
    hub = EventHub(MemoryBus(), max_streams=5)
    hub.start()
    stream = hub.open({"call.ended"})
    messages = stream.messages(life_s=100)
    await anext(messages)
    hub.end_streams()
    assert [message async for message in messages] == []
    with pytest.raises(UnavailableError):
        hub.open({"call.ended"})
    await hub.close()
