"""Re-INVITE, UPDATE, INFO and other requests within a call, message by message."""

import time

import pytest
from dialog_rig import FAR_SDP, OUR_SDP, FarEnd, Office

from hotline.errors import InvalidInputError
from ivr.media.types import Codec
from ivr.sip import CallEnd


def test_a_re_invite_and_an_update_change_the_media(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    for method in ("INVITE", "UPDATE"):
        answer = far.ask(method, body=FAR_SDP.replace("40000", "40002"))
        assert (answer.status, answer.body.decode()) == (200, OUR_SDP)
        assert answer.header("contact")
        if method == "INVITE":
            far.ack()
        assert handler.next() == ("update", 40002)
    far.hang_up()


def test_a_re_invite_that_says_the_same_is_answered_all_the_same(office: Office, far: FarEnd) -> None:
    far.invite()
    assert far.ask("INVITE", body=FAR_SDP).status == 200
    far.ack()
    assert office.call()[2].next() == ("update", 40000)
    far.hang_up()


@pytest.mark.parametrize("ours", [True, False], ids=["our call", "late offer"])
def test_a_re_invite_that_lists_more_codecs_keeps_the_one_in_use(office: Office, far: FarEnd, ours: bool) -> None:
    if ours:
        _, handler = office.dial(far)
        far.take(far.ringing())
        assert handler.next()[0] == "answered"
    else:
        far.invite(body=None)
        handler = office.call()[2]
        assert handler.next()[0] == "answer"
    assert far.ask("INVITE", body=FAR_SDP.replace("RTP/AVP 8", "RTP/AVP 0 8")).status == 200
    far.ack()
    assert handler.next()[0] == "update"
    assert handler.offer is not None
    assert handler.offer.remote.codec is Codec.PCMA
    far.hang_up()


def test_an_update_without_sdp_only_refreshes(office: Office, far: FarEnd) -> None:
    far.invite()
    answer = far.ask("UPDATE")
    assert (answer.status, answer.body) == (200, b"")
    assert office.call()[2].is_told_nothing()
    far.hang_up()


def test_a_re_invite_without_sdp_gets_our_offer(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    answer = far.ask("INVITE")
    assert answer.body.decode() == OUR_SDP
    assert handler.next() == ("update", None)
    assert far.ask("UPDATE", body=FAR_SDP).status == 491, "our offer is open"
    far.ack(body=FAR_SDP)
    far.send(far.request("ACK", body=FAR_SDP, cseq=far.cseq - 1))
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_an_unacceptable_re_invite_leaves_the_call_as_it_was(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    handler.refusal = InvalidInputError("codec")
    assert far.ask("INVITE", body=FAR_SDP).status == 488
    handler.refusal = RuntimeError("a fault of ours")
    assert far.ask("UPDATE", body=FAR_SDP).status == 500
    assert far.ask("UPDATE", body="v=0", content_type="application/sdp").status == 488
    assert far.ask("INVITE", body="hello", content_type="text/plain").status == 415
    handler.refusal = None
    assert far.ask("UPDATE", body=FAR_SDP).status == 200
    far.hang_up()


def test_our_re_invite_is_answered(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP.replace("30000", "30002")))
    invite = far.expect("INVITE ")
    assert b"30002" in invite.body
    far.reply(invite, "183 Session Progress")
    far.take(invite)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_re_invite_waits_for_the_acknowledgement_of_the_last_one(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    early = far.receive(0.3)
    assert early is None or early.status == 200
    far.ack()
    far.take(far.expect("INVITE "))
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_crossing_re_invites_are_refused_and_ours_is_tried_again(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    ours = far.expect("INVITE ")
    assert far.ask("INVITE", body=FAR_SDP).status == 491
    far.reply(ours, "491 Request Pending")
    far.expect("ACK ")
    again = far.expect("INVITE ")  # within 2 s, as the far end made the Call-ID
    assert again.branch != ours.branch
    far.take(again)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_in_a_call_of_ours_we_wait_longer_after_crossing(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    far.take(far.ringing())
    handler.next()
    office.do(lambda: dialog.update(OUR_SDP))
    ours = far.expect("INVITE ")
    far.reply(ours, "491 Request Pending")
    refused = time.monotonic()
    far.expect("ACK ")
    until = time.monotonic() + 5
    while (again := far.receive(until - time.monotonic())) and again.method != "INVITE":
        pass
    assert again is not None
    assert 2.0 < time.monotonic() - refused < 4.5
    far.take(again)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_refused_re_invite_leaves_the_call_as_it_was(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    far.reply(far.expect("INVITE "), "488 Not Acceptable Here")
    far.expect("ACK ")
    assert handler.is_told_nothing()
    assert far.ask("OPTIONS").status == 200
    far.hang_up()


def test_a_re_invite_that_the_far_end_knows_nothing_of_ends_the_call(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    far.reply(far.expect("INVITE "), "481 Call/Transaction Does Not Exist")
    far.expect("BYE ")
    assert handler.next() == ("ended", CallEnd("unreachable", 481, 41))


@pytest.mark.parametrize(
    ("content_type", "body", "status", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200, "5"),
        ("application/dtmf-relay", "Signal= *\r\nDuration= 250", 200, "*"),
        ("application/dtmf", "#", 200, "#"),
        ("application/dtmf", "11", 200, "#"),
        ("application/dtmf-relay", "Duration=160\r\n", 400, None),
        ("application/dtmf", "99", 400, None),
        ("text/plain", "5", 415, None),
    ],
)
def test_a_digit_in_info(
    office: Office, far: FarEnd, content_type: str, body: str, status: int, digit: str | None
) -> None:
    far.invite()
    _, _, handler = office.call()
    assert far.ask("INFO", body=body, content_type=content_type).status == status
    if digit:
        assert handler.next() == ("digit", digit)
    assert handler.is_told_nothing()
    assert far.ask("INFO").status == 200, "an empty one only asks whether we are there"
    far.hang_up()


def test_an_old_request_within_the_call_is_refused(office: Office, far: FarEnd) -> None:
    far.invite()
    far.cseq = 10
    assert far.ask("OPTIONS").status == 200
    assert far.ask("INFO", cseq=5).status == 500
    assert far.ask("PUBLISH").status == 405
    assert far.ask("MESSAGE").status == 405
    far.hang_up()
    office.call()
