"""Transfers: blind, after a consultation, by a phone and by the caller's carrier. Real calls, in-memory media."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from call_rig import PROMPTS, Site
from talk_rig import hears, plays_music, talk

from hotline.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from ivr.access.dialplan import ToExtension
from ivr.sip import CallEnd, EndReason, Replaces, TransferTarget

OUTSIDE = "13900139000"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, flow_name="queue")
    yield site
    site.exchange.end_all("shutdown")
    site.loop.run(30)
    site.publisher.close()
    assert site.exchange.unfinished == 0


@pytest.mark.parametrize("asked_by", ["staff", "phone"])
def test_whoever_takes_a_transferred_caller_hears_him_though_he_was_held(site: Site, asked_by: str) -> None:
    call, _, seat = talk(site)
    call.hold("caller")
    if asked_by == "staff":
        call.transfer("8001", "8002")
    else:
        seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1"))
    site.loop.to("8002").answer()
    assert (hears(site, "caller", "8002"), hears(site, "8002", "caller")) == (True, True)


def test_a_blind_transfer_rings_the_target_for_the_caller(site: Site) -> None:
    call, _, seat = talk(site)
    call.transfer("8001", "8002")
    assert seat.dialog.hung_up
    assert site.engine.calls[0].looped, "the caller hears ringing"
    site.loop.to("8002").answer()
    assert not site.engine.calls[0].looped
    assert hears(site, "caller", "8002")
    call.transfer("8001", "8002")
    transferred = site.journal().first("transferred")
    assert transferred is not None
    assert (transferred.data["party"], transferred.data["target"]) == ("8001", "8002")


def test_a_caller_whose_transfer_comes_to_nothing_hears_goodbye(site: Site) -> None:
    call, _, _ = talk(site)
    call.transfer("8001", "8002")
    site.loop.to("8002").fail(EndReason.NO_ANSWER)
    site.loop.run()
    assert not call.ended
    assert np.array_equal(site.media.plays[-1][1], PROMPTS.samples("goodbye"))


def test_a_transfer_to_where_the_plan_does_not_lead_changes_nothing(site: Site) -> None:
    call, _, seat = talk(site)
    with pytest.raises(ForbiddenError):
        call.transfer("8001", "00861380013800")
    with pytest.raises(NotFoundError):
        call.transfer("8001", "8099")
    with pytest.raises(NotFoundError):
        call.transfer("8005", "8002")
    assert hears(site, "caller", "8001")
    assert not seat.dialog.hung_up


def test_a_consultation_is_completed(site: Site) -> None:
    call, _, seat = talk(site)
    call.consult("8001", "8002")
    call.consult("8001", "8002")
    assert plays_music(site.engine.calls[0])
    with pytest.raises(ConflictError):
        call.complete_transfer("8001")
    site.loop.to("8002").answer()
    assert hears(site, "8001", "8002")
    assert not hears(site, "caller", "8002")
    call.complete_transfer("8001")
    call.complete_transfer("8001")
    assert seat.dialog.hung_up
    assert hears(site, "caller", "8002")
    assert not site.engine.calls[0].looped


def test_a_consultation_is_given_up_and_the_caller_is_back(site: Site) -> None:
    call, _, seat = talk(site)
    call.consult("8001", "8002")
    asked = site.loop.to("8002")
    asked.answer()
    call.cancel_consultation("8001")
    call.cancel_consultation("8001")
    assert asked.dialog.hung_up
    assert not seat.dialog.hung_up
    assert hears(site, "caller", "8001")


def test_a_consulted_phone_that_does_not_answer_gives_the_caller_back(site: Site) -> None:
    call, _, _ = talk(site)
    call.consult("8001", "8002")
    site.loop.to("8002").fail(EndReason.NO_ANSWER)
    assert hears(site, "caller", "8001")


def test_a_caller_is_put_back_into_a_queue_and_gets_another_seat(site: Site) -> None:
    call, _, seat = talk(site)
    site.exchange.seats.sign_in("8002", ("enquiry",))
    call.transfer_to_queue("8001", "enquiry")
    call.transfer_to_queue("8001", "enquiry")
    assert seat.dialog.hung_up
    site.loop.run()
    site.loop.to("8002").answer()
    site.loop.run()
    assert hears(site, "caller", "8002")


def test_a_phone_that_was_to_be_consulted_rings_no_more_once_the_caller_waits_in_a_queue(site: Site) -> None:
    call, _, _ = talk(site)
    site.exchange.seats.sign_in("8003", ("enquiry",))
    call.consult("8001", "8002")
    call.transfer_to_queue("8001", "enquiry")
    site.loop.run()
    assert site.loop.to("8002").dialog.hung_up
    site.loop.to("8003").answer()
    site.loop.run()
    assert hears(site, "caller", "8003")


def test_a_phone_transfers_blindly_by_refer_and_is_told_how_it_goes(site: Site) -> None:
    _, _, seat = talk(site)
    seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1"))
    assert not seat.dialog.hung_up
    site.loop.to("8002").answer()
    assert seat.dialog.progress == [200]
    assert seat.dialog.hung_up
    assert hears(site, "caller", "8002")


def test_a_refer_that_fails_leaves_the_phone_in_the_call(site: Site) -> None:
    _, _, seat = talk(site)
    seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1"))
    site.loop.to("8002").fail(EndReason.BUSY)
    assert seat.dialog.progress == [486]
    assert hears(site, "caller", "8001")


def test_a_phone_transfers_only_where_its_plan_lets_it(site: Site) -> None:
    _, _, seat = talk(site)
    with pytest.raises(ForbiddenError):
        seat.handler.on_transfer(TransferTarget("sip:0015551234@evil.example", "0015551234", "evil.example"))


def test_an_attended_transfer_joins_the_phones_two_calls(site: Site) -> None:
    call, _, seat = talk(site)
    second = site.place(ToExtension("8002"), extension="8001", called="8002")
    consulted = site.loop.to("8002")
    consulted.answer()
    site.loop.run()
    assert second.dialog.answered_with
    named = Replaces(second.dialog.sip_call_id, "a", "b")
    seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1", named))
    site.loop.run()
    assert seat.dialog.progress == [200]
    assert (seat.dialog.hung_up, second.dialog.hung_up, consulted.dialog.hung_up) == (True, True, False)
    assert hears(site, "caller", "8002")
    assert site.only_call() is call


def test_the_caller_of_the_hotline_stays_in_his_call_whichever_the_phone_names(site: Site) -> None:
    call, _, seat = talk(site)
    second = site.place(ToExtension("8002"), extension="8001", called="8002")
    site.loop.to("8002").answer()
    site.loop.run()
    named = Replaces(seat.dialog.sip_call_id, "a", "b")
    second.handler.on_transfer(TransferTarget("sip:x@127.0.0.1", "x", "127.0.0.1", named))
    site.loop.run()
    assert site.only_call() is call
    assert hears(site, "caller", "8002")


def test_a_phone_joins_no_calls_of_others(site: Site) -> None:
    _, _, seat = talk(site)
    others = site.place(ToExtension("8003"), extension="8002", called="8003")
    site.loop.to("8003").answer()
    named = Replaces(others.dialog.sip_call_id, "a", "b")
    with pytest.raises(ForbiddenError):
        seat.handler.on_transfer(TransferTarget("sip:8003@127.0.0.1", "8003", "127.0.0.1", named))
    unknown = Replaces("nobody", "a", "b")
    with pytest.raises(NotFoundError):
        seat.handler.on_transfer(TransferTarget("sip:8003@127.0.0.1", "8003", "127.0.0.1", unknown))


def test_an_attended_transfer_to_a_phone_that_still_rings_is_refused(site: Site) -> None:
    _, _, seat = talk(site)
    second = site.place(ToExtension("8002"), extension="8001", called="8002")
    named = Replaces(second.dialog.sip_call_id, "a", "b")
    with pytest.raises(UnavailableError):
        seat.handler.on_transfer(TransferTarget("sip:8002@127.0.0.1", "8002", "127.0.0.1", named))
    assert hears(site, "caller", "8001")


@pytest.fixture
def referring(site: Site) -> Site:
    """The caller's carrier puts callers through itself."""
    site.phones.refers = True
    return site


@pytest.mark.parametrize("asked_by", ["staff", "phone"])
def test_the_callers_carrier_puts_him_through_to_a_number_outside(referring: Site, asked_by: str) -> None:
    site = referring
    call, caller, seat = talk(site)
    if asked_by == "staff":
        call.transfer("8001", OUTSIDE)
        call.transfer("8001", OUTSIDE)
    else:
        seat.handler.on_transfer(TransferTarget(f"sip:{OUTSIDE}@127.0.0.1", OUTSIDE, "127.0.0.1"))
    assert caller.dialog.referred == [(f"sip:{OUTSIDE}@city.example", None)]
    assert not caller.dialog.hung_up
    caller.handler.on_transfer_result(200)
    assert (caller.dialog.hung_up, seat.dialog.hung_up) == (True, True)
    assert seat.dialog.progress == ([200] if asked_by == "phone" else [])
    assert len(site.loop.placed) == 1, "nobody is rung by us"
    ended, transferred = site.journal().first("ended"), site.journal().first("transferred")
    assert ended is not None
    assert transferred is not None
    assert (ended.data["reason"], transferred.data["target"]) == ("transferred", OUTSIDE)


@pytest.mark.parametrize("refusal", [405, 603, None])
def test_a_carrier_that_refuses_or_says_nothing_leaves_the_transfer_to_us(referring: Site, refusal: int | None) -> None:
    site = referring
    call, caller, _ = talk(site)
    call.transfer("8001", OUTSIDE)
    if refusal is None:
        site.loop.run(31)
    else:
        caller.handler.on_transfer_result(refusal)
    site.loop.to(OUTSIDE).answer()
    assert hears(site, "caller", OUTSIDE)
    caller.handler.on_transfer_result(200)
    assert not call.ended, "too late: he talks here"


def test_a_transfer_by_the_carrier_that_is_given_up_ends_as_one_by_us_does(referring: Site) -> None:
    site = referring
    call, caller, _ = talk(site)
    call.transfer("8001", OUTSIDE)
    call.hang_up(OUTSIDE)
    assert len(site.loop.placed) == 1
    assert "call.party_failed" in site.events()
    assert not caller.dialog.hung_up, "the flow says goodbye"


def test_a_caller_who_hangs_up_while_his_carrier_is_asked_is_gone(referring: Site) -> None:
    site = referring
    call, caller, _ = talk(site)
    call.transfer("8001", OUTSIDE)
    caller.handler.on_ended(CallEnd(EndReason.CALLER_HANGUP))
    site.loop.run(31)
    assert call.ended
    assert len(site.loop.placed) == 1


def test_the_carrier_is_not_asked_where_others_stay_in_the_call_or_the_target_is_inside(referring: Site) -> None:
    site = referring
    call, caller, _ = talk(site)
    call.conference("8002")
    site.loop.to("8002").answer()
    call.transfer("8001", OUTSIDE)
    site.loop.to(OUTSIDE).answer()
    call.hang_up(OUTSIDE)
    call.transfer("8002", "8003")
    site.loop.to("8003")
    assert caller.dialog.referred == []


@pytest.mark.parametrize("code", [200, 603])
def test_after_a_consultation_the_carrier_joins_its_two_lines_or_they_go_on_talking_here(
    referring: Site, code: int
) -> None:
    site = referring
    call, caller, _ = talk(site)
    call.consult("8001", OUTSIDE)
    outside = site.loop.to(OUTSIDE)
    outside.answer()
    call.complete_transfer("8001")
    assert caller.dialog.referred == [(f"sip:{OUTSIDE}@city.example", outside.dialog)]
    caller.handler.on_transfer_result(code)
    assert call.ended == outside.dialog.hung_up == caller.dialog.hung_up == (code == 200)
    assert call.ended or hears(site, "caller", OUTSIDE)
