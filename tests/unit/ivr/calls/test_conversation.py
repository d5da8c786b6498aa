"""People in a call: who is rung, who hears whom, and what is left when somebody goes. Real calls, in-memory media."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from call_rig import PROMPTS, SDP, Site
from talk_rig import hears, leg, plays_music, talk

from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from ivr.access.dialplan import ToExtension, ToTrunk
from ivr.calls.captions import CaptionFinal
from ivr.media.mixer import Supervision
from ivr.sip import CallEnd, EndReason


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, flow_name="queue")
    yield site
    site.exchange.end_all("shutdown")
    site.loop.run(30)
    site.publisher.close()
    assert site.exchange.unfinished == 0


def test_a_waiting_caller_is_put_through_to_the_seat_that_answers(site: Site) -> None:
    call, caller, seat = talk(site)
    assert seat.caller == "13800138000"
    assert (hears(site, "caller", "8001"), hears(site, "8001", "caller")) == (True, True)
    assert not site.engine.calls[0].looped, "the music has stopped"
    caller.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    assert seat.dialog.hung_up
    site.captions_end(complete=True)
    for tap in site.taps[1:]:
        tap.end()
    site.loop.run()
    kinds = site.kinds()
    assert [kind for kind in kinds if kind in ("queued", "unqueued", "joined", "left")] == [
        "queued",
        "unqueued",
        "joined",
        "left",
    ]
    assert site.exchange.seats.snapshot()[0]["state"] == "paused", "it wraps up"
    assert call.ended


def test_a_caller_whose_seat_hangs_up_hears_goodbye(site: Site) -> None:
    call, _, seat = talk(site)
    seat.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    site.loop.run()
    assert not call.ended
    assert np.array_equal(site.media.plays[-1][1], PROMPTS.samples("goodbye"))
    site.finish_playing()
    assert call.ended


def test_a_caller_who_gives_up_waiting_stops_the_ringing(site: Site) -> None:
    site.exchange.seats.sign_in("8001", ("operator",))
    caller = site.place(None)
    ringing = site.loop.to("8001")
    caller.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    assert ringing.dialog.hung_up
    site.loop.run()
    assert site.exchange.seats.snapshot()[0]["state"] == "ready"


def test_all_phones_of_a_seat_ring_and_one_is_connected(site: Site) -> None:
    site.phones.extensions["8001"] = 3
    site.exchange.seats.sign_in("8001", ("operator",))
    site.place(None)
    first, second, third = site.loop.placed
    first.fail(EndReason.REJECTED)
    third.answer()
    site.loop.run()
    assert second.dialog.hung_up
    assert not third.dialog.hung_up
    assert hears(site, "caller", "8001")


def test_a_busy_seat_is_passed_over_for_another(site: Site) -> None:
    site.exchange.seats.sign_in("8001", ("operator",))
    site.exchange.seats.sign_in("8002", ("operator",))
    site.place(None)
    site.loop.to("8001").fail(EndReason.BUSY)
    site.loop.run()
    site.loop.to("8002").answer()
    site.loop.run()
    assert hears(site, "caller", "8002")


def test_a_seat_without_a_phone_does_not_keep_the_caller(site: Site) -> None:
    site.phones.extensions["8001"] = 0
    site.exchange.seats.sign_in("8001", ("operator",))
    site.exchange.seats.sign_in("8002", ("operator",))
    site.place(None)
    site.loop.run()
    site.loop.to("8002").answer()
    site.loop.run()
    assert hears(site, "caller", "8002")


def test_a_phone_that_registers_makes_its_seat_ready_and_one_that_is_gone_signs_it_out(site: Site) -> None:
    seats = site.exchange.seats
    seats.phone_changed("8001", ("operator",), (), reachable=True)
    assert [seat["seat"] for seat in seats.snapshot()] == ["8001"]
    seats.phone_changed("8001", ("operator",), (), reachable=False)
    assert seats.snapshot() == []
    seats.phone_changed("8002", (), (), reachable=True)
    assert seats.snapshot() == [], "an extension without queues is no seat"
    seats.phone_changed("8003", ("no such queue",), (), reachable=True)
    assert seats.snapshot() == []


def test_a_held_caller_hears_music_and_the_seat_hears_nothing(site: Site) -> None:
    call, _, _ = talk(site)
    call.hold("caller")
    call.hold("caller")
    assert plays_music(site.engine.calls[0])
    assert not leg(site, "8001").looped
    assert not hears(site, "8001", "caller")
    call.resume("caller")
    assert not site.engine.calls[0].looped
    assert hears(site, "8001", "caller")
    assert site.kinds().count("held") == 1


def test_a_seat_that_holds_by_its_phone_leaves_the_caller_with_music(site: Site) -> None:
    from call_rig import SDP

    from ivr.sdp import parse_offer

    _, _, seat = talk(site)
    seat.handler.on_update(parse_offer(SDP + "a=sendonly\r\n"))
    assert plays_music(site.engine.calls[0])
    seat.handler.on_update(parse_offer(SDP))
    assert not site.engine.calls[0].looped
    assert site.kinds()[-2:] == ["held", "resumed"]


def test_a_muted_seat_hears_and_is_not_heard(site: Site) -> None:
    call, _, _ = talk(site)
    call.mute("8001")
    assert (hears(site, "caller", "8001"), hears(site, "8001", "caller")) == (False, True)
    call.unmute("8001")
    assert hears(site, "caller", "8001")


@pytest.mark.parametrize(
    ("mode", "heard_by_caller", "heard_by_seat"),
    [(Supervision.LISTEN, False, False), (Supervision.WHISPER, False, True), (Supervision.BARGE, True, True)],
)
def test_a_supervisor_is_heard_as_far_as_the_mode_says(
    site: Site, mode: Supervision, *, heard_by_caller: bool, heard_by_seat: bool
) -> None:
    call, _, _ = talk(site)
    call.supervise("8002", mode)
    call.supervise("8002", mode)
    site.loop.to("8002").answer()
    assert len([placed for placed in site.loop.placed if "8002" in placed.target.uri]) == 1
    assert (hears(site, "8002", "caller"), hears(site, "8002", "8001")) == (True, True)
    assert hears(site, "caller", "8002") is heard_by_caller
    assert hears(site, "8001", "8002") is heard_by_seat


def test_a_supervisor_changes_his_mode_and_goes_when_nobody_talks_any_more(site: Site) -> None:
    call, _, seat = talk(site)
    call.supervise("8002", Supervision.LISTEN)
    supervisor = site.loop.to("8002")
    supervisor.answer()
    call.supervise("8002", Supervision.BARGE)
    assert hears(site, "caller", "8002")
    seat.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    site.loop.run()
    assert supervisor.dialog.hung_up
    with pytest.raises(ConflictError):
        call.supervise("8003", Supervision.LISTEN)


def test_a_seat_is_not_its_own_supervisor(site: Site) -> None:
    call, _, _ = talk(site)
    with pytest.raises(ConflictError):
        call.supervise("8001", Supervision.LISTEN)


def test_three_talk_in_a_conference(site: Site) -> None:
    call, _, _ = talk(site)
    call.conference("8002")
    assert hears(site, "caller", "8001"), "nobody waits for the third"
    site.loop.to("8002").answer()
    parties = ("caller", "8001", "8002")
    assert all(hears(site, a, b) for a in parties for b in parties if a != b)
    call.hang_up("8001")
    call.hang_up("8001")
    assert not call.ended
    assert hears(site, "caller", "8002")


def test_a_held_caller_is_back_when_nobody_is_left_to_resume_him(site: Site) -> None:
    call, _, _ = talk(site)
    call.conference("8002")
    site.loop.to("8002").answer()
    call.hold("caller")
    call.hang_up("8001")
    assert call.caller.held, "8002 can still resume him"
    call.hang_up("8002")
    assert not call.caller.held
    assert np.array_equal(site.media.plays[-1][1], PROMPTS.samples("goodbye"))


def test_a_held_caller_who_is_put_into_a_queue_hears_the_seat_that_answers(site: Site) -> None:
    call, _, _ = talk(site)
    site.exchange.seats.sign_in("8003", ("enquiry",))
    call.hold("caller")
    call.transfer_to_queue("8001", "enquiry")
    site.loop.run()
    site.loop.to("8003").answer()
    site.loop.run()
    assert hears(site, "caller", "8003")


def test_carriers_are_tried_in_order_where_one_fails(site: Site) -> None:
    call, _, _ = talk(site)
    site.phones.trunks = 2
    call.transfer("8001", "13900139000")
    site.loop.to("13900139000").fail(EndReason.UNREACHABLE)
    second = site.loop.to("13900139000")
    assert second.target.uri.endswith("127.0.1.2:5060")
    assert second.caller == "01012345"
    second.answer()
    assert hears(site, "caller", "13900139000")


def test_early_media_of_a_carrier_that_fails_does_not_bind_the_next(site: Site) -> None:
    site.phones.trunks = 2
    site.exchange.dial_out(call_id="c1", extension="8001", number="13900139000")
    site.loop.to("8001").answer()
    first = site.loop.to("13900139000")
    first.handler.on_ringing(SDP)
    first.fail(EndReason.UNREACHABLE)
    remote = site.engine.calls[0].remote
    assert remote is not None
    assert not remote.send, "nothing goes to who has refused"
    second = site.loop.to("13900139000")
    assert second is not first
    assert second.sdp.splitlines()[4:] == first.sdp.splitlines()[4:], "the same is offered"
    second.answer()
    assert hears(site, "caller", "8001")


def test_a_busy_number_is_busy_on_every_carrier(site: Site) -> None:
    call, _, _ = talk(site)
    site.phones.trunks = 2
    call.conference("13900139000")
    site.loop.to("13900139000").fail(EndReason.BUSY)
    site.loop.run()
    assert len([placed for placed in site.loop.placed if "139" in placed.target.uri]) == 1
    assert hears(site, "caller", "8001")


def test_a_queue_that_nobody_serves_ends_with_goodbye(site: Site) -> None:
    call, _, _ = talk(site)
    call.transfer_to_queue("8001", "enquiry")
    site.loop.run()
    assert not call.ended
    assert np.array_equal(site.media.plays[-1][1], PROMPTS.samples("goodbye"))


def test_prompts_and_keys_reach_the_party_they_are_for(site: Site) -> None:
    call, _, _ = talk(site)
    call.play(("thanks",), to="8001")
    assert np.array_equal(leg(site, "8001").plays[-1][1], PROMPTS.samples("thanks"))
    call.play(("thanks",))
    assert "感谢" in [entry.data["text"] for entry in site.journal().all("prompt")][-1]
    call.send_digits("12#")
    assert site.engine.calls[0].digits == "12#"
    with pytest.raises(InvalidInputError):
        call.play(())


def test_music_goes_on_after_an_announcement(site: Site) -> None:
    call, _, _ = talk(site)
    call.hold("caller")
    call.play(("thanks",))
    assert not site.engine.calls[0].looped
    site.finish_playing()
    assert plays_music(site.engine.calls[0])


def test_a_caller_in_a_queue_hears_an_announcement_and_then_music_again(site: Site) -> None:
    site.exchange.seats.sign_in("8001", ("operator",))
    site.place(None)
    site.finish_playing()  # what he is told before the music
    media = site.engine.calls[0]
    assert plays_music(media)
    site.only_call().play(("thanks",))
    assert not media.looped
    site.loop.run()
    assert [np.array_equal(samples, PROMPTS.samples("thanks")) for _, samples in media.plays[-2:]] == [True, False]
    assert plays_music(media)


def test_a_supervisor_who_is_rung_takes_part_as_was_asked_last(site: Site) -> None:
    call, _, _ = talk(site)
    call.supervise("8002", Supervision.LISTEN)
    call.supervise("8002", Supervision.BARGE)
    site.loop.to("8002").answer()
    assert hears(site, "caller", "8002")


@pytest.mark.parametrize("answered", [False, True])
def test_nobody_has_two_roles_in_a_call(site: Site, answered: bool) -> None:
    call, _, _ = talk(site)
    call.supervise("8002", Supervision.LISTEN)
    call.conference("8003")
    if answered:
        site.loop.to("8002").answer()
        site.loop.to("8003").answer()
    with pytest.raises(ConflictError, match="8002 supervises"):
        call.conference("8002")
    with pytest.raises(ConflictError, match="8003 talks"):
        call.supervise("8003", Supervision.LISTEN)


def test_recording_is_paused_and_goes_on(site: Site) -> None:
    call, _, _ = talk(site)
    call.pause_recording()
    call.pause_recording()
    assert not site.engine.calls[0].recording
    call.resume_recording()
    assert site.engine.calls[0].recording
    assert [entry.data["paused"] for entry in site.journal().all("recording")] == [True, False]


def test_what_a_seat_says_is_captioned_from_when_it_joined(site: Site) -> None:
    site.exchange.seats.sign_in("8001", ("operator",))
    site.exchange.seats.away("8001")
    site.exchange.seats.sign_in("8002", ("operator",))
    site.place(None)
    site.clock.advance(10)
    site.exchange.seats.ready("8001")
    site.exchange.seats.away("8002")
    site.loop.run()
    seat = site.loop.to("8001")
    tap = leg(site, "8001").tap
    assert tap is not None
    tap.feed(bytes(2 * 8000 * 5))  # it rang for five seconds
    assert len(site.taps) == 1, "ringing is not listened to"
    seat.answer()
    site.loop.run()
    site.taps[1].on_event(CaptionFinal("您好", (("您好", 100, 500, 0.9),)))
    site.loop.run()
    segment = site.journal().first("segment")
    assert segment is not None
    assert (segment.data["speaker"], segment.data["start_ms"]) == ("seat", 15100)


def test_a_phone_whose_media_is_lost_leaves_and_the_caller_goes_on(site: Site) -> None:
    call, _, seat = talk(site)
    leg(site, "8001").listener.on_media_timeout()
    site.loop.run()
    assert seat.dialog.hung_up
    assert not call.ended


def test_an_extension_calls_another_and_both_ends_are_recorded(site: Site) -> None:
    phone = site.place(ToExtension("8002"), extension="8001", called="8002")
    assert phone.answer is None
    assert phone.dialog.rang
    assert site.engine.calls[0].mix == {} or not hears(site, "caller", "8002")
    site.loop.to("8002").answer()
    site.loop.run()
    assert "m=audio" in phone.dialog.answered_with
    assert hears(site, "caller", "8002")
    opened = site.journal().first("opened")
    assert opened is not None
    assert (opened.data["purpose"], opened.data["caller"], opened.data["called"]) == ("internal", "8001", "8002")
    site.loop.to("8002").handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    assert phone.dialog.hung_up


def test_a_call_that_nobody_answers_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    phone = site.place(ToExtension("8002"), extension="8001", called="8002")
    site.loop.to("8002").fail(EndReason.BUSY)
    site.loop.run()
    assert phone.dialog.rejected == 486
    assert site.sinks[0].discarded
    assert list(tmp_path.glob("*.jsonl")) == []
    assert "call.failed" in site.events()


def test_a_phone_that_hangs_up_while_it_rings_stops_the_ringing(site: Site) -> None:
    phone = site.place(ToTrunk("13900139000"), extension="8001", called="13900139000")
    phone.handler.on_ended(CallEnd(EndReason.CANCELLED))
    assert site.loop.to("13900139000").dialog.hung_up
    assert all(call.ended for call in site.exchange.calls)


def test_a_citizen_called_from_a_desk_is_on_the_left_of_the_recording(site: Site) -> None:
    phone = site.place(ToTrunk("13900139000"), extension="8001", called="13900139000")
    citizen = site.loop.to("13900139000")
    citizen.answer()
    assert phone.dialog.answered_with
    assert site.only_call().caller.dialog is citizen.dialog
    assert (hears(site, "caller", "8001"), hears(site, "8001", "caller")) == (True, True)
    citizen.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    assert phone.dialog.hung_up


def test_a_click_rings_the_phone_and_then_the_number_once(site: Site) -> None:
    for _ in range(2):
        site.exchange.dial_out(call_id="click1", extension="8001", number="13900139000")
    (phone,) = site.loop.placed
    assert phone.caller == "13900139000"
    phone.answer()
    assert leg(site, "8001").looped, "it hears ringing"
    site.loop.to("13900139000").answer()
    assert not leg(site, "8001").looped
    assert hears(site, "caller", "8001")
    assert site.only_call().call_id == "click1"


def test_a_click_on_a_number_that_is_busy_hangs_the_phone_up(site: Site) -> None:
    site.exchange.dial_out(call_id="click1", extension="8001", number="13900139000")
    site.loop.to("8001").answer()
    site.loop.to("13900139000").fail(EndReason.BUSY)
    assert site.loop.to("8001").dialog.hung_up
    assert all(call.ended for call in site.exchange.calls)


def test_a_survey_call_asks_whoever_answers(site: Site) -> None:
    site.exchange.start_flow(call_id="s1", flow="survey", number="13900139000", variables={"ticket": "7"})
    citizen = site.loop.to("13900139000")
    citizen.answer()
    listener = site.engine.calls[0].listener
    listener.on_speech_started(500)
    site.loop.run(1)
    listener.on_speech_ended(site.engine.calls[0].offset_ms())
    site.loop.run(0.5)
    assert site.engine.calls[0].plays == [], "he may not have said all of his greeting"
    site.loop.run(0.5)
    (answerer,) = [entry.data["answerer"] for entry in site.journal().all("answerer")]
    assert answerer == "person"
    for key in ("1", "1", "2"):
        site.finish_playing()
        site.press(key)
    assert [entry.data["answer"] for entry in site.journal().all("survey")][:2] == ["yes", "yes"]
    opened = site.journal().first("opened")
    assert opened is not None
    assert (opened.data["direction"], opened.data["variables"]) == ("out", {"ticket": "7"})


@pytest.mark.parametrize("trunks", [0, 1])
def test_a_survey_call_that_reaches_nobody_is_told_to_the_worker(site: Site, trunks: int) -> None:
    site.phones.trunks = trunks
    site.exchange.start_flow(call_id="s1", flow="survey", number="13900139000", variables={"ticket": "7"})
    if trunks:
        site.loop.to("13900139000").fail(EndReason.NO_ANSWER)
    name, arguments = site.jobs[-1]
    assert name == "outgoing_failed"
    assert (arguments["call_id"], arguments["variables"]) == ("s1", {"ticket": "7"})
    assert arguments["reason"] == ("no_answer" if trunks else "unreachable")
    site.exchange.start_flow(call_id="s1", flow="survey", number="13900139000", variables={})
    assert len(site.jobs) == 1, "the same call is not placed twice"


def test_a_call_of_ours_needs_a_flow_that_there_is(site: Site) -> None:
    with pytest.raises(NotFoundError):
        site.exchange.start_flow(call_id="s1", flow="other", number="13900139000", variables={})
    with pytest.raises(InvalidInputError):
        site.exchange.dial_out(call_id="../x", extension="8001", number="13900139000")


def test_an_emergency_is_heard_and_told_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, flow_name="menu")
    site.place(None)
    site.taps[0].on_event(CaptionFinal("家里着火了", (("家里着火了", 100, 900, 0.9),)))
    site.loop.run()
    alarm = site.journal().first("alarm")
    assert alarm is not None
    assert alarm.data["words"] == ["着火"]
    assert site.events("alarm") == ["alarm.emergency"]
    site.exchange.end_all("shutdown")


def test_each_party_has_a_track_where_the_site_wants_that(tmp_path: Path) -> None:
    site = Site(tmp_path, flow_name="queue", tracks=True)
    site.phones.extensions["8001"] = 2
    _, caller, _ = talk(site)
    call_sink, first, second = site.sinks
    assert second.path.name == f"{call_sink.path.stem}.8001-2.wav"
    assert first.discarded, "this phone rang and was not taken"
    assert not second.discarded
    second.works = False
    track = site.journal().first("track")
    assert track is not None
    assert (track.data["party"], track.data["name"]) == ("8001", "8001-2")
    caller.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    for tap in site.taps:
        tap.end()
    site.loop.run()
    assert not site.journal().closed, "a file is still being written"
    second.on_closed()
    site.loop.run()
    assert site.journal().closed
