"""A call of the flow with in-memory signalling, media and recognition: what is told to whom, what the journal says."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from call_rig import PROMPTS, SDP, Dialog, Site

from hotline.bus import Event
from hotline.errors import ForbiddenError, InvalidInputError, UnavailableError
from ivr.calls.captions import CaptionFinal, CaptionPartial, CaptionsBehind, CaptionsEnded
from ivr.journal import Journal
from ivr.media.types import Codec
from ivr.menu.machine import MenuMachine
from ivr.sdp import parse_offer
from ivr.sip import CallEnd, EndReason, Invitation, Replaces, TransferTarget


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Site]:
    desk = Site(tmp_path)
    yield desk
    desk.exchange.end_all("shutdown")
    desk.loop.run(30)
    desk.publisher.close()
    assert desk.exchange.unfinished == 0


def eventually(read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What `read` gives once the publisher's thread has caught up."""
    pause = threading.Event()
    for _ in range(200):
        if found := read():
            return found
        pause.wait(0.01)
    return []


def assign(desk: Site) -> None:
    data = {"call_id": desk.journal().call_id, "number": "YQ20260105000018", "lookup_code": "123456"}
    desk.exchange.number_assigned(Event(name="number.assigned", at=desk.clock.now(), data=data))
    desk.loop.run()


def test_a_whole_call_leaves_a_journal_the_worker_can_use(desk: Site) -> None:
    desk.answer()
    desk.finish_playing()
    desk.finish_playing()
    desk.speak(6)
    desk.taps[0].on_event(CaptionPartial("路"))
    desk.taps[0].on_event(CaptionFinal("路灯坏了", (("路灯", 9000, 9500, 0.9), ("坏了", 9500, 9900, 0.8))))
    desk.press("#")
    assert desk.jobs == [("assign_number", {"call_id": desk.journal().call_id})]
    assign(desk)
    for _ in range(2):
        desk.finish_playing()
    assert desk.dialog.hung_up
    assert desk.taps[0].finished
    assert desk.media.closed
    assert not desk.journal().closed
    desk.captions_end(complete=True)
    assert desk.kinds() == [
        *["opened", "answered", "prompt", "prompt", "demand_begun", "segment", "digit", "demand"],
        *["number", "prompt", "prompt", "ended", "quality", "captions", "closed"],
    ]
    journal = desk.journal()
    ended = journal.first("ended")
    assert ended is not None
    assert ended.data["reason"] == "completed"
    assert [entry.data["text"] for entry in journal.all("prompt")][
        2
    ] == "已登记，您的工单号是YQ20260105000018查询码是123456"
    assert desk.jobs[-1] == ("ingest_call", {"journal_path": f"n1/{journal.path.name}"})
    assert desk.exchange.unfinished == 0
    names = [event.name for event in desk.published()]
    assert names[0] == "call.answered"
    assert names[-2:] == ["call.ended", "caption.ended"]
    assert "caption.partial" in names
    assert names.count("caption.final") == 5
    assert desk.bus.states("call") == {}


def test_prompts_are_played_back_to_back_as_one(desk: Site) -> None:
    desk.answer()
    _, samples = desk.media.plays[0]
    assert np.array_equal(samples, PROMPTS.samples("notice"))


def test_a_caller_who_hangs_up_while_speaking_has_told_a_demand(desk: Site) -> None:
    handler = desk.answer()
    desk.finish_playing()
    desk.finish_playing()
    desk.media.listener.on_speech_started(desk.media.offset_ms())
    desk.loop.run(3)
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    desk.captions_end(complete=True)
    demand = desk.journal().first("demand")
    ended = desk.journal().first("ended")
    assert demand is not None
    assert ended is not None
    assert demand.data["end_ms"] - demand.data["start_ms"] == 3000
    begun = desk.journal().first("demand_begun")  # all that a crash would have left of it
    assert begun is not None
    assert begun.data == {"start_ms": demand.data["start_ms"]}
    assert ended.data["reason"] == "caller_hangup"
    assert not desk.dialog.hung_up


def test_without_a_worker_the_caller_is_told_that_staff_will_call(desk: Site) -> None:
    desk.answer()
    desk.finish_playing()
    desk.finish_playing()
    desk.speak(2)
    desk.press("#")
    desk.loop.run(2)
    desk.finish_playing()
    desk.loop.run(10)
    desk.finish_playing()
    assert "工作人员会尽快与您联系" in [entry.data["text"] for entry in desk.journal().all("prompt")][-1]


def test_the_end_of_a_stopped_prompt_does_not_end_the_next(desk: Site) -> None:
    desk.answer()
    desk.finish_playing()
    desk.speak(2)  # over `say_demand`, which is stopped and reports its end late
    desk.press("#")
    desk.loop.run(2)
    assert len(desk.media.plays) == 3  # notice, say_demand, registering: the last still plays
    desk.loop.run()
    assert len(desk.media.plays) == 3


def test_hold_and_resume_are_answered_and_noted(desk: Site) -> None:
    handler = desk.answer()
    assert "a=recvonly" in handler.on_update(parse_offer(SDP + "a=sendonly\r\n"))
    assert desk.media.remote.send is False
    assert "a=sendrecv" in handler.on_update(parse_offer(SDP))
    assert desk.kinds()[-2:] == ["held", "resumed"]


def test_a_re_invite_that_changes_the_codec_is_refused(desk: Site) -> None:
    handler = desk.answer()
    with pytest.raises(InvalidInputError):
        handler.on_update(parse_offer(SDP.replace("AVP 8", "AVP 0")))
    assert desk.media.remote.codec is Codec.PCMA


def test_an_answer_has_a_higher_version_where_it_has_changed(desk: Site) -> None:
    handler = desk.answer()
    answer = handler.on_update(parse_offer(SDP))
    assert handler.on_update(parse_offer(SDP)) == answer
    _name, session, version, *_address = answer.split("\r\n")[1].split()
    held = handler.on_update(parse_offer(SDP + "a=sendonly\r\n"))
    assert held.split("\r\n")[1].split()[1:3] == [session, str(int(version) + 1)]


def test_silence_on_the_network_ends_the_call(desk: Site) -> None:
    desk.answer()
    desk.media.listener.on_media_timeout()
    desk.loop.run()
    desk.captions_end(complete=True)
    ended = desk.journal().first("ended")
    assert ended is not None
    assert ended.data["reason"] == "media_timeout"
    assert desk.dialog.hung_up


def test_a_call_has_a_time_limit(desk: Site) -> None:
    desk.answer()
    desk.finish_playing()
    desk.finish_playing()
    desk.media.listener.on_speech_started(desk.media.offset_ms())
    for _ in range(400):
        desk.loop.run(2)
        desk.media.listener.on_speech_started(desk.media.offset_ms())
        if desk.dialog.hung_up:
            break
        if desk.media.plays and desk.media.plays[-1][0] and desk.clock.monotonic() > 590:
            desk.loop.run(20)
    assert desk.dialog.hung_up
    assert desk.clock.monotonic() <= 620


def test_a_recognizer_that_never_answers_does_not_keep_the_call_open(desk: Site) -> None:
    handler = desk.answer()
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    desk.loop.run(20)
    captions = desk.journal().first("captions")
    assert captions is not None
    assert captions.data["complete"] is False
    assert desk.journal().closed
    desk.captions_end(complete=True)  # too late: nothing more is written or handed in
    assert desk.kinds().count("closed") == 1
    assert [name for name, _ in desk.jobs] == ["ingest_call"]


def test_a_call_is_not_handed_over_before_its_recording_is_whole(desk: Site) -> None:
    desk.sinks_work = False
    handler = desk.answer()
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    desk.captions_end(complete=True)
    desk.loop.run(60)
    assert not desk.journal().closed
    assert desk.jobs == []
    desk.sinks[0].on_closed()
    desk.loop.run()
    assert desk.journal().closed
    assert [name for name, _ in desk.jobs] == ["ingest_call"]


def test_events_after_the_end_change_nothing(desk: Site) -> None:
    handler = desk.answer()
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    before = desk.kinds()
    desk.press("5")
    desk.speak(1)
    desk.finish_playing()
    assign(desk)
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    assert desk.kinds() == before


def test_late_captions_are_told_and_on_the_board(desk: Site) -> None:
    desk.answer()
    desk.taps[0].on_event(CaptionsBehind(3))
    desk.taps[0].on_event(CaptionsBehind(3))
    desk.loop.run(25)
    (state,) = eventually(lambda: [state for state in desk.bus.states("call").values() if state["captions_behind_s"]])
    assert state["captions_behind_s"] == 3
    desk.captions_end(complete=True)
    desk.loop.run(1)
    told = eventually(lambda: told if len(told := behind(desk)) == 2 else [])
    assert told == [3, 0]


def behind(desk: Site) -> list[int]:
    return [event.data["seconds"] for event in desk.published() if event.name == "caption.behind"]


def test_a_call_in_progress_is_on_the_board_until_it_ends(desk: Site) -> None:
    handler = desk.answer()
    desk.taps[0].on_event(CaptionFinal("您好", (("您好", 100, 500, 0.9),)))
    desk.loop.run(25)
    (state,) = eventually(lambda: [state for state in desk.bus.states("call").values() if state["captions"]])
    assert state["caller"] == "13800138000"
    assert state["captions"] == [{"speaker": "caller", "text": "您好", "start_ms": 100, "end_ms": 500}]
    handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    desk.loop.run()
    desk.publisher.close()
    assert desk.bus.states("call") == {}


def test_no_free_port_refuses_the_call_and_leaves_nothing_behind(desk: Site) -> None:
    desk.engine.full = True
    invitation = Invitation("x@y", "", "12345", "127.0.0.2", "127.0.0.1", parse_offer(SDP))
    with pytest.raises(UnavailableError):
        desk.exchange.answer(invitation, desk.dialog)
    assert list(desk.spool.iterdir()) == []
    assert desk.taps[0].finished
    assert desk.sinks[0].discarded
    assert desk.exchange.unfinished == 0


def test_a_dialog_that_cannot_be_ended_does_not_keep_the_call_or_the_others(desk: Site) -> None:
    def refuse() -> None:
        raise RuntimeError("no transport")

    desk.answer()
    desk.dialog.hang_up = refuse  # type: ignore[method-assign, assignment]
    desk.dialog = Dialog()
    desk.answer()
    desk.exchange.end_all("shutdown")
    desk.loop.run()
    assert desk.dialog.hung_up
    assert all(media.closed for media in desk.engine.calls)
    for tap in desk.taps:
        tap.on_event(CaptionsEnded(complete=True))
    desk.loop.run()
    journals = [Journal.read(path) for path in desk.spool.glob("*.jsonl")]
    assert [ended.data["reason"] for journal in journals for ended in journal.all("ended")] == ["shutdown", "shutdown"]


def test_a_fault_of_the_flow_ends_the_call_and_is_logged(
    desk: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("no such prompt")

    monkeypatch.setattr(MenuMachine, "step", fail)
    desk.answer()
    assert desk.dialog.hung_up
    assert "the flow failed" in caplog.text
    ended = desk.journal().first("ended")
    assert ended is not None
    assert ended.data["reason"] == "internal_error"


def test_at_shutdown_captions_are_given_up_and_the_journal_closes(desk: Site) -> None:
    desk.answer()
    desk.exchange.end_all("shutdown")
    desk.loop.run()
    assert not desk.journal().closed
    desk.exchange.give_up_captions()
    desk.loop.run()
    assert desk.journal().closed


def test_a_late_offer_begins_the_flow_with_the_answer(desk: Site) -> None:
    handler = desk.answer_without_offer()
    media = desk.engine.calls[0]
    assert not media.remote.send
    assert not media.plays
    handler.on_answer(SDP)
    assert (media.remote.address.port, media.remote.send) == (4000, True)
    assert media.plays
    assert "held" not in desk.kinds()
    handler.on_answer(SDP)  # a refreshed session says the same again
    assert len(media.plays) == 1


@pytest.mark.parametrize(("codec", "rate"), [(Codec.PCMU, 8000), (Codec.G722, 16000)])
def test_a_wideband_caller_is_recorded_and_recognized_at_sixteen_kilohertz(
    tmp_path: Path, codec: Codec, rate: int
) -> None:
    site = Site(tmp_path, tracks=True, codecs=tuple(Codec))
    text = SDP.replace("AVP 8 101", f"AVP {codec.value} 8 101")
    invitation = Invitation(
        "x@y", "13800138000", "12345", "127.0.0.2", "127.0.0.1", parse_offer(text, codecs=tuple(Codec))
    )
    _, answer = site.exchange.answer(invitation, site.dialog)
    assert answer is not None
    assert f"m=audio 20000 RTP/AVP {codec.value} 101" in answer
    site.loop.run()
    opened = site.journal().first("opened")
    assert opened is not None
    assert (opened.data["codec"], opened.data["sample_rate"]) == (codec.name, rate)
    assert {each.sample_rate for each in [*site.sinks, *site.taps]} == {rate}
    site.exchange.end_all("shutdown")
    site.loop.run(30)
    site.publisher.close()


def test_a_far_end_that_wants_our_offer_gets_the_codec_that_we_like_best(tmp_path: Path) -> None:
    site = Site(tmp_path, codecs=(Codec.G722, Codec.PCMA))
    invitation = Invitation("x@y", "13800138000", "12345", "127.0.0.2", "127.0.0.1", None)
    _, offer = site.exchange.answer(invitation, site.dialog)
    assert offer is not None
    assert "m=audio 20000 RTP/AVP 9 101" in offer
    assert {each.sample_rate for each in [*site.sinks, *site.taps]} == {16000}
    site.exchange.end_all("shutdown")
    site.loop.run(30)
    site.publisher.close()


def test_a_late_offer_is_answered_in_our_codec_or_not_at_all(desk: Site) -> None:
    handler = desk.answer_without_offer()
    with pytest.raises(InvalidInputError):
        handler.on_answer(SDP.replace("AVP 8", "AVP 0"))
    assert not desk.engine.calls[0].plays


def test_a_re_invite_without_an_offer_gets_ours_each_time(desk: Site) -> None:
    handler = desk.answer()
    first, second = handler.on_update(None), handler.on_update(None)
    assert "m=audio 20000 RTP/AVP 8 101" in first
    assert first == second


def test_a_digit_of_signalling_is_a_digit_of_the_flow(desk: Site) -> None:
    handler = desk.answer()
    desk.loop.run(2)
    handler.on_digit("7")
    desk.loop.run()
    digit = desk.journal().first("digit")
    assert digit is not None
    assert digit.data == {"digit": "7", "offset_ms": 2000}


def test_a_caller_neither_transfers_a_call_nor_takes_one_over(desk: Site) -> None:
    with pytest.raises(ForbiddenError):
        desk.answer().on_transfer(TransferTarget("sip:1@192.0.2.1", "1", "192.0.2.1"))
    invitation = Invitation(
        "z@y", "", "12345", "127.0.0.2", "127.0.0.1", parse_offer(SDP), replaces=Replaces("x@y", "a", "b")
    )
    with pytest.raises(ForbiddenError):
        desk.exchange.answer(invitation, desk.dialog)
    assert len(desk.engine.calls) == 1


@pytest.mark.parametrize("end", list(EndReason))
def test_the_journal_says_how_signalling_ended_the_call(desk: Site, end: EndReason) -> None:
    desk.answer().on_ended(CallEnd(end))
    ended = desk.journal().first("ended")
    assert ended is not None
    assert ended.data["reason"] == end.value


def test_the_bye_says_why_a_silent_caller_is_hung_up(desk: Site) -> None:
    desk.answer()
    desk.engine.calls[0].listener.on_media_timeout()
    desk.loop.run()
    assert desk.dialog.q850 == 102
