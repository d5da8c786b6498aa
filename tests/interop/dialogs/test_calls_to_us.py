"""Calls to us as the caller sees them, message by message; and what is none."""

import select
from typing import Any

import pytest
from dialog_rig import FAR_SDP, OUR_SDP, WAIT_S, FarEnd, Office

from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from ivr.sip import CallEnd


def test_a_call_is_answered_when_the_handler_wants(office: Office, far: FarEnd) -> None:
    office.answers = False
    invite = far.request("INVITE", body=FAR_SDP)
    far.send(invite)
    invitation, dialog, handler = office.call()
    assert far.receive(0.1) is None
    office.do(lambda: dialog.ring())
    assert far.expect("SIP/2.0 180").body == b""
    office.do(lambda: dialog.ring(OUR_SDP))
    assert far.expect("SIP/2.0 183").body.decode() == OUR_SDP
    office.do(lambda: dialog.answer(OUR_SDP))
    far.remote = far.expect("SIP/2.0 200").header("to")
    far.ack()
    assert invitation.sip_call_id == dialog.sip_call_id == far.call_id
    far.hang_up()
    assert handler.next() == ("ended", CallEnd("caller_hangup", 200, None))


def test_a_caller_gives_up_while_it_rings(office: Office, far: FarEnd) -> None:
    office.answers = False
    invite = far.request("INVITE", body=FAR_SDP)
    far.send(invite)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.ring())
    far.send(far.request("CANCEL", ("Reason", "Q.850;cause=26"), cseq=far.cseq, branch=invite.branch))
    far.expect("SIP/2.0 487")
    far.ack(branch=invite.branch)
    assert handler.next() == ("ended", CallEnd("cancelled", 487, 26))
    office.do(lambda: dialog.answer(OUR_SDP))
    assert handler.is_told_nothing()


def test_a_cancel_after_the_answer_changes_nothing(office: Office, far: FarEnd) -> None:
    before = far.remote
    assert far.ask("INVITE", body=FAR_SDP, branch="z9hG4bKlate").status == 200
    far.ack()
    dialog, far.remote = far.remote, before
    late = far.ask("CANCEL", branch="z9hG4bKlate", cseq=1)
    assert late.status in (200, 481)
    assert ";tag=" in late.header("to"), "RFC 3261 section 8.2.6.2"
    far.remote = dialog
    assert office.call()[2].is_told_nothing()
    far.hang_up()


def test_a_call_is_refused_with_a_time_to_come_back(office: Office, far: FarEnd) -> None:
    office.answers = False
    far.send(far.request("INVITE", body=FAR_SDP))
    _, dialog, handler = office.call()
    office.do(lambda: dialog.reject(480, retry_after_s=30))
    assert far.expect("SIP/2.0 480").header("retry-after") == "30"
    office.do(lambda: dialog.answer(OUR_SDP))
    assert handler.is_told_nothing()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnavailableError("full"), 503),
        (InvalidInputError("codec"), 488),
        (ForbiddenError("no"), 403),
        (NotFoundError("nobody"), 480),
        (KeyError(), 500),
    ],
)
def test_a_refusal_of_the_call_layer_is_a_status(office: Office, far: FarEnd, error: Exception, status: int) -> None:
    office.refusal = error
    answer = far.ask("INVITE", body=FAR_SDP)
    assert answer.status == status
    assert (status == 503) == any(answer.all("retry-after"))


def test_hanging_up_an_unanswered_call_refuses_it(office: Office, far: FarEnd) -> None:
    office.answers = False
    far.send(far.request("INVITE", body=FAR_SDP))
    _, dialog, _ = office.call()
    office.do(lambda: dialog.hang_up(q850=17))
    refused = far.expect("SIP/2.0 486")
    assert refused.header("reason") == 'Q.850;cause=17;text="User busy"'


def test_an_invitation_without_sdp_gets_our_offer_and_is_answered_in_the_ack(office: Office, far: FarEnd) -> None:
    answer = far.ask("INVITE")
    assert answer.body.decode() == OUR_SDP
    invitation, _, handler = office.call()
    assert invitation.offer is None
    assert handler.is_told_nothing()
    far.ack(body=FAR_SDP)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_late_offer_that_is_never_answered_ends_the_call(office: Office, far: FarEnd) -> None:
    far.ask("INVITE")
    far.ack()
    assert far.expect("BYE ").header("reason") == "SIP;cause=488"
    assert office.call()[2].next() == ("ended", CallEnd("error", 488, 31))


def test_a_bye_of_ours_waits_for_the_ack(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, _ = office.call()
    office.do(lambda: dialog.hang_up())
    early = far.receive(0.2)
    assert early is None or early.status == 200, "RFC 3261 section 15"
    far.ack()
    far.reply(far.expect("BYE "), "200 OK")


def test_a_call_that_is_never_acknowledged_ends(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.ua.disconnect())  # type: ignore[attr-defined] # as sippy does after 32 s
    far.expect("BYE ")
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))


# --- who calls, and what is no invitation ---


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), ("1001", "", False)),
        ((("P-Asserted-Identity", '"Zhang San" <sip:+8613800138000@trunk>'),), ("13800138000", "Zhang San", False)),
        (
            (("P-Asserted-Identity", "<tel:13800138000>, <sip:x@trunk>"), ("Privacy", "id;critical")),
            ("13800138000", "", True),
        ),
        ((("P-Asserted-Identity", "nonsense"), ("Privacy", "none")), ("1001", "", False)),
    ],
)
def test_the_callers_identity(office: Office, far: FarEnd, headers: Any, expected: tuple[str, str, bool]) -> None:
    far.invite(*headers)
    invitation, _, _ = office.call()
    assert (invitation.caller, invitation.display_name, invitation.privacy) == expected
    far.hang_up()


def test_an_anonymous_caller_wants_privacy(office: Office, far: FarEnd) -> None:
    far.local = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=far'
    far.invite()
    invitation, _, _ = office.call()
    assert (invitation.caller, invitation.privacy) == ("", True)
    far.hang_up()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"application/sdp", b"text/plain", 415),
        (b"1 INVITE", b"1 OPTIONS", 400),
        (b"1 INVITE", b"-1 INVITE", 400),
        (b"1 INVITE", b"2147483648 INVITE", 400),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n", 505),
        (b"Contact:", b"Require: 100rel\r\nContact:", 420),
    ],
)
def test_what_is_no_invitation_is_refused(office: Office, far: FarEnd, old: bytes, new: bytes, status: int) -> None:
    data = far.request("INVITE", body=FAR_SDP).serialize()
    assert old in data
    far.send(data.replace(old, new, 1))
    reply = far._socket.recv(65536) if select.select([far._socket], [], [], WAIT_S)[0] else b""
    assert reply.startswith(f"SIP/2.0 {status} ".encode()), reply[:200]
    assert office.calls.empty()


def test_a_datagram_too_large_is_counted(office: Office, far: FarEnd) -> None:
    before = office.server.counters["too_large"]
    far.send(far.request("INVITE", body=FAR_SDP + "a=" + "x" * 9000).serialize())
    assert far.receive(0.3) is None
    assert office.server.counters["too_large"] == before + 1
