"""What goes wrong between people in a call: each time somebody is told, nobody waits for nothing, nothing is left."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from call_rig import SDP, Dialog, Leg, Placed, Site

from hotline.errors import ConflictError, NotFoundError, UnavailableError
from ivr.access.dialplan import ToExtension, ToTrunk
from ivr.calls.call import Call
from ivr.media.mixer import Supervision
from ivr.sdp import parse_offer
from ivr.sip import CallEnd, EndReason, Invitation, Replaces, TransferTarget

CITIZEN = "13900139000"
HUNG_UP = CallEnd(EndReason.CALLER_HANGUP)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, flow_name="queue")
    yield site
    site.exchange.end_all("shutdown")
    site.loop.run(30)
    site.publisher.close()
    assert site.exchange.unfinished == 0


def talk(site: Site) -> tuple[Call, Leg, Placed]:
    """A caller of the hotline who talks to the seat 8001."""
    site.exchange.seats.sign_in("8001", ("operator",))
    caller = site.place(None)
    seat = site.loop.to("8001")
    seat.answer()
    site.loop.run()
    return site.only_call(), caller, seat


def take_over(site: Site, replaced: Dialog, extension: str) -> Dialog:
    """Another phone of the extension sends INVITE with Replaces."""
    replaces = Replaces(replaced.sip_call_id, "a", "b")
    dialog = Dialog("second phone")
    invitation = Invitation(
        *("second phone", extension, extension, "127.0.0.2", "127.0.0.1", parse_offer(SDP)),
        extension=extension,
        replaces=replaces,
    )
    site.exchange.answer(invitation, dialog)
    site.loop.run()
    return dialog


def refer(leg: Leg | Placed, to: Dialog) -> None:
    replaces = Replaces(to.sip_call_id, "a", "b")
    leg.handler.on_transfer(TransferTarget("sip:x@127.0.0.1", "x", "127.0.0.1", replaces))


def states(site: Site) -> dict[str, str]:
    return {seat["seat"]: seat["state"] for seat in site.exchange.seats.snapshot()}


# --- somebody leaves while somebody is rung ---


def test_nobody_rings_on_for_a_phone_that_clicked_and_hung_up(site: Site) -> None:
    site.exchange.dial_out(call_id="c1", extension="8001", number=CITIZEN)
    site.loop.to("8001").answer()
    call = site.only_call()
    site.loop.to("8001").handler.on_ended(HUNG_UP)
    assert site.loop.to(CITIZEN).dialog.hung_up
    assert call.ended


@pytest.mark.parametrize("answers", [True, False])
def test_a_caller_left_while_a_conference_rings_is_not_left_with_music(site: Site, answers: bool) -> None:
    call, _, seat = talk(site)
    call.conference("8002")
    seat.handler.on_ended(HUNG_UP)
    if answers:
        site.loop.to("8002").answer()
        assert site.engine.calls[0].hears("caller", "8002")
    else:
        site.loop.to("8002").fail()
        assert not call.caller.connected, "the flow goes on"


def test_a_consulting_seat_that_leaves_passes_the_caller_on_or_back_to_the_flow(site: Site) -> None:
    call, _, seat = talk(site)
    call.consult("8001", "8002")
    seat.handler.on_ended(HUNG_UP)
    assert call.caller.plays == "ringback"
    site.loop.to("8002").fail()
    assert not call.caller.connected, "the flow goes on"


def test_a_supervisor_who_is_rung_keeps_no_conversation(site: Site) -> None:
    call, _, seat = talk(site)
    call.supervise("8003", Supervision.LISTEN)
    seat.handler.on_ended(HUNG_UP)
    assert site.loop.to("8003").dialog.hung_up
    assert not call.caller.connected


def test_a_call_between_phones_ends_when_one_is_left_after_a_transfer(site: Site) -> None:
    first = site.place(ToExtension("8002"), extension="8001")
    site.loop.to("8002").answer()
    call = site.only_call()
    call.transfer("caller", "8003")
    assert first.dialog.hung_up
    site.loop.to("8003").answer()
    assert not call.ended
    site.loop.to("8002").handler.on_ended(HUNG_UP)
    assert site.loop.to("8003").dialog.hung_up
    assert call.ended


def test_a_call_without_anybody_ends_although_somebody_is_rung(site: Site) -> None:
    site.place(ToExtension("8002"), extension="8001")
    site.loop.to("8002").answer()
    call = site.only_call()
    call.transfer("caller", "8003")
    site.loop.to("8002").handler.on_ended(HUNG_UP)
    assert site.loop.to("8003").dialog.hung_up
    assert call.ended


# --- the console hangs up somebody who is rung ---


def test_hanging_up_who_is_rung_tells_the_phone_that_called(site: Site) -> None:
    phone = site.place(ToExtension("8002"), extension="8001")
    call = site.only_call()
    call.hang_up("8002")
    assert site.loop.to("8002").dialog.hung_up
    assert phone.dialog.rejected == 487
    assert call.ended


def test_hanging_up_a_click_that_rings_ends_it(site: Site) -> None:
    site.exchange.dial_out(call_id="c1", extension="8001", number=CITIZEN)
    call = site.only_call()
    call.hang_up("8001")
    assert call.ended


def test_hanging_up_the_phone_that_dials_out_stops_the_ringing(site: Site) -> None:
    phone = site.place(ToTrunk(CITIZEN), extension="8001")
    call = site.only_call()
    call.hang_up("8001")
    assert (phone.dialog.hung_up, site.loop.to(CITIZEN).dialog.hung_up, call.ended) == (True, True, True)


def test_hanging_up_who_is_consulted_gives_the_caller_back(site: Site) -> None:
    call, _, _ = talk(site)
    call.consult("8001", "8002")
    call.hang_up("8002")
    assert site.engine.calls[0].hears("caller", "8001")


def test_hanging_up_the_target_of_a_refer_tells_the_phone_that_asked(site: Site) -> None:
    call, _, seat = talk(site)
    seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1"))
    call.hang_up("8002")
    assert seat.dialog.progress == [487]
    assert site.engine.calls[0].hears("caller", "8001")


# --- consultations ---


def test_one_consultation_at_a_time(site: Site) -> None:
    call, _, _ = talk(site)
    call.consult("8001", "8002")
    with pytest.raises(ConflictError, match="consults somebody already"):
        call.consult("8001", "8003")
    assert not any(placed.target.uri.startswith("sip:8003") for placed in site.loop.placed)


# --- queues ---


def test_a_queue_that_does_not_exist_changes_nothing(site: Site) -> None:
    call, _, seat = talk(site)
    with pytest.raises(NotFoundError):
        call.transfer_to_queue("8001", "no such queue")
    assert not seat.dialog.hung_up
    assert site.engine.calls[0].hears("caller", "8001")


def test_a_caller_is_not_queued_while_a_seat_of_a_queue_talks_to_him(site: Site) -> None:
    call, _, _ = talk(site)
    call.conference("8002")
    site.loop.to("8002").answer()
    with pytest.raises(ConflictError, match="another seat"):
        call.transfer_to_queue("8002", "operator")
    assert site.engine.calls[0].hears("8001", "8002")
    assert call.place.queue == ""


def test_a_seat_that_answers_as_the_caller_leaves_the_queue_is_free_again(site: Site) -> None:
    site.exchange.seats.sign_in("8001", ("operator",))
    site.place(None)
    seat = site.loop.to("8001")
    seat.answer()
    site.media.listener.on_digit("1", site.media.offset_ms())  # both before the distributor's answer
    site.loop.posted.reverse()
    site.loop.run()
    assert seat.dialog.hung_up
    assert states(site) == {"8001": "paused"}


def test_the_call_after_the_end_rings_nobody(site: Site) -> None:
    caller = site.place(ToExtension("8001"), extension="8002")
    caller.handler.on_ended(HUNG_UP)
    site.exchange.seats.sign_in("8003", ("operator",))
    waiting = site.place(None)
    waiting.handler.on_ended(HUNG_UP)
    site.loop.run()
    assert states(site) == {"8003": "ready"}
    assert all(placed.dialog.hung_up for placed in site.loop.placed)


def test_a_seat_that_was_moved_to_another_call_is_free_when_it_leaves_it(site: Site) -> None:
    call, _, seat = talk(site)
    second = site.place(None, extension="8001")  # its other line, to the hotline itself
    site.exchange.seats.sign_in("8002", ("operator",))
    site.loop.run()
    site.loop.to("8002").answer()
    site.loop.run()
    refer(seat, second.dialog)
    site.loop.run()
    assert states(site)["8002"] == "talking"
    assert site.only_call() is call
    site.loop.to("8002").handler.on_ended(HUNG_UP)
    assert states(site)["8002"] == "paused"


# --- calls that are joined, calls that are taken over ---


def test_a_citizen_who_was_called_stays_in_his_call_whichever_the_phone_names(site: Site) -> None:
    outgoing = site.place(ToTrunk(CITIZEN), extension="8001")
    site.loop.to(CITIZEN).answer()
    call = site.only_call()
    second = site.place(ToExtension("8002"), extension="8001")
    site.loop.to("8002").answer()
    refer(second, outgoing.dialog)
    assert site.only_call() is call
    assert call.caller.dialog is site.loop.to(CITIZEN).dialog
    assert site.engine.calls[0].hears("caller", "8002")


def test_a_supervisor_does_not_come_along_into_another_call(site: Site) -> None:
    call, _, seat = talk(site)
    second = site.place(ToExtension("8002"), extension="8001")
    site.loop.to("8002").answer()
    (other,) = [each for each in site.exchange.calls if each is not call]
    other.supervise("8003", Supervision.LISTEN)
    site.loop.to("8003").answer()
    refer(seat, second.dialog)
    assert site.loop.to("8003").dialog.hung_up
    assert set(call.parties) == {"caller", "8002"}


def test_all_of_a_joined_call_come_along_with_its_caller(site: Site) -> None:
    outgoing = site.place(ToTrunk(CITIZEN), extension="8001")
    site.loop.to(CITIZEN).answer()
    call = site.only_call()
    second = site.place(ToTrunk("13700137000"), extension="8001")
    site.loop.to("13700137000").answer()
    (other,) = [each for each in site.exchange.calls if each is not call]
    other.conference("8003")
    site.loop.to("8003").answer()
    refer(outgoing, second.dialog)
    assert set(call.parties) == {"caller", "13700137000", "8003"}
    assert not any(media.closed for media in site.engine.calls[0].legs.values() if media.name != "8001")
    assert site.engine.calls[0].hears("caller", "8003")


def test_a_phone_that_takes_over_is_muted_and_held_as_the_other_was(site: Site) -> None:
    call, _, seat = talk(site)
    call.mute("8001")
    call.hold("8001")
    take_over(site, seat.dialog, "8001")
    assert seat.dialog.hung_up
    assert (call.parties["8001"].muted, call.parties["8001"].held) == (True, True)
    assert not site.engine.calls[0].hears("caller", "8001")
    assert [entry.kind for entry in site.journal().entries if entry.kind in ("joined", "left")] == [
        *("joined", "left", "joined")
    ]


def test_a_takeover_without_media_changes_nothing(site: Site) -> None:
    _, _, seat = talk(site)
    site.engine.calls[0].full = True
    with pytest.raises(UnavailableError):
        take_over(site, seat.dialog, "8001")
    assert not seat.dialog.hung_up
    seat.handler.on_ended(HUNG_UP)
    assert states(site) == {"8001": "paused"}, "the distributor knows that it is free"


# --- the beginning ---


def test_a_call_outside_without_media_for_the_phone_leaves_nothing_behind(site: Site) -> None:
    site.engine.without_legs = True
    with pytest.raises(UnavailableError):
        site.place(ToTrunk(CITIZEN), extension="8001")
    assert all(call.ended for call in site.exchange.calls)
    assert all(media.closed for media in site.engine.calls)


def test_a_ringing_call_of_ours_is_not_answered_by_us(site: Site) -> None:
    site.exchange.start_flow(call_id="s1", flow="survey", number=CITIZEN, variables={})
    site.loop.to(CITIZEN).handler.on_ringing(SDP)  # early media
    with pytest.raises(ConflictError):
        site.only_call().answer()
    assert list(site.spool.glob("*.jsonl")) == []


def test_who_was_answered_by_the_console_hears_ringing(site: Site) -> None:
    phone = site.place(ToExtension("8002"), extension="8001")
    site.only_call().answer()
    assert phone.dialog.answered_with
    assert site.engine.calls[0].looped
    site.loop.to("8002").answer()
    assert not site.engine.calls[0].looped
    assert site.engine.calls[0].hears("caller", "8002")


def test_a_re_invite_in_the_first_moment_begins_the_call_once(site: Site) -> None:
    invitation = Invitation("x@y", "13800138000", "12345", "127.0.0.2", "127.0.0.1", parse_offer(SDP))
    handler, _ = site.exchange.answer(invitation, Dialog())
    handler.on_update(parse_offer(SDP))
    site.loop.run()
    assert site.events().count("call.answered") == 1


def test_a_click_that_could_not_be_placed_can_be_tried_again(site: Site) -> None:
    site.phones.extensions["8001"] = 0
    with pytest.raises(NotFoundError):
        site.exchange.dial_out(call_id="c1", extension="8001", number=CITIZEN)
    site.phones.extensions["8001"] = 1
    site.exchange.dial_out(call_id="c1", extension="8001", number=CITIZEN)
    assert site.only_call().call_id == "c1"


def test_a_click_on_an_extension_rings_one_of_its_phones_after_another(site: Site) -> None:
    site.phones.extensions["8002"] = 2
    site.exchange.dial_out(call_id="c1", extension="8001", number="8002")
    site.loop.to("8001").answer()
    assert len(site.loop.placed) == 2
    site.loop.to("8002").fail(EndReason.UNREACHABLE)
    assert len(site.loop.placed) == 3
    site.loop.to("8002").answer()
    assert site.engine.calls[0].hears("caller", "8001")


def test_nothing_ticks_on_after_an_unanswered_call(site: Site) -> None:
    site.place(ToExtension("8002"), extension="8001").handler.on_ended(HUNG_UP)
    site.loop.run()
    for tap in site.taps:
        tap.end()
    site.loop.run()
    assert [timer for timer in site.loop.timers if not timer.cancelled] == []


def test_a_phone_that_answers_on_hold_is_heard_when_it_resumes(site: Site) -> None:
    site.place(ToExtension("8002"), extension="8001")
    seat = site.loop.to("8002")
    seat.handler.on_answered(SDP + "a=sendonly\r\n")
    assert not site.engine.calls[0].hears("caller", "8002")
    seat.handler.on_update(parse_offer(SDP))
    assert site.engine.calls[0].hears("caller", "8002")


def test_a_phone_that_was_held_for_its_transfer_is_held_no_more_when_it_has_left(site: Site) -> None:
    phone = site.place(ToExtension("8002"), extension="8001")
    site.loop.to("8002").answer()
    phone.handler.on_transfer(TransferTarget("sip:8003@127.0.0.1", "8003", "127.0.0.1"))
    site.loop.to("8003").answer()
    call = site.only_call()
    assert (call.caller.connected, call.caller.held) == (False, False)
    assert site.engine.calls[0].hears("8002", "8003")


# --- how a call is found that still rings ---


def told(site: Site, kind: str) -> list[str]:
    """The calls on the bus, when all that was said so far has been told."""
    done = threading.Event()
    site.publisher.submit(done.set)
    assert done.wait(5)
    return list(site.bus.states(kind))


@pytest.mark.parametrize(("answers", "in_progress"), [(True, ["s1"]), (False, [])])
def test_a_call_of_ours_is_found_while_it_rings(site: Site, answers: bool, in_progress: list[str]) -> None:
    site.exchange.start_flow(call_id="s1", flow="survey", number="13900139000", variables={"ticket": "7"})
    assert (told(site, "ringing"), told(site, "call")) == (["s1"], [])
    if answers:
        site.loop.to("13900139000").answer()
    else:
        site.exchange.call("s1").hang_up()
    site.loop.run(10)  # he is let say his greeting first
    assert (told(site, "ringing"), told(site, "call")) == ([], in_progress)
    site.exchange.end_all("shutdown")
    site.loop.run(100)
    assert (told(site, "ringing"), told(site, "call")) == ([], [])
