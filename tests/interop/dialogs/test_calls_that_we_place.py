"""Calls of ours as the far end sees them, message by message."""

import time
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from dialog_rig import FAR_SDP, OUR_SDP, FarEnd, Office, SippDials

from demo.media_process import HOST
from hotline.errors import InvalidInputError, UnavailableError
from ivr.sip import CallEnd


def test_a_call_of_ours_rings_is_answered_and_hung_up(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    assert invite.start == f"INVITE sip:1001@{HOST}:{far.port} SIP/2.0"
    assert invite.header("from").startswith(f'"热线" <sip:12345@{HOST}>')
    assert invite.body.decode() == OUR_SDP
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    far.reply(invite, "183 Session Progress", body=FAR_SDP)
    assert handler.next() == ("ringing", FAR_SDP)
    far.take(invite)
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    assert bye.header("reason") == 'Q.850;cause=16;text="Normal call clearing"'
    far.reply(bye, "200 OK")
    assert handler.is_told_nothing()


def test_the_far_end_hangs_up_and_says_why(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    far.take(far.ringing())
    handler.next()
    assert far.ask("BYE", ("Reason", "SIP;cause=200"), ("Reason", "Q.850;cause=31")).status == 200
    assert handler.next() == ("ended", CallEnd("caller_hangup", 200, 31))


@pytest.mark.parametrize(
    ("status", "reason", "end"),
    [
        ("486 Busy Here", "", CallEnd("busy", 486, 17)),
        ("480 Temporarily Unavailable", "", CallEnd("no_answer", 480, 18)),
        ("480 Temporarily Unavailable", "Q.850;cause=17", CallEnd("busy", 480, 17)),
        ("603 Decline", "", CallEnd("rejected", 603, 21)),
        ("404 Not Found", "", CallEnd("unreachable", 404, 1)),
        ("503 Service Unavailable", "nonsense", CallEnd("unreachable", 503, 41)),
        ("302 Moved Temporarily", "", CallEnd("unreachable", 302, None)),
    ],
)
def test_a_call_of_ours_fails(office: Office, far: FarEnd, status: str, reason: str, end: CallEnd) -> None:
    _, handler = office.dial(far)
    invite = far.ringing()
    far.reply(invite, status, *([("Reason", reason)] if reason else []))
    ack = far.expect("ACK ")
    assert ack.branch == invite.branch
    assert handler.next() == ("ended", end)
    assert handler.is_told_nothing()


def test_a_call_that_nobody_answers_is_cancelled(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, timeout_s=0.3)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    cancel = far.expect("CANCEL ")
    assert cancel.branch == invite.branch
    assert cancel.header("reason") == "SIP;cause=408"
    far.reply(cancel, "200 OK")
    far.reply(invite, "487 Request Terminated")
    far.expect("ACK ")
    assert handler.next() == ("ringing", None)
    assert handler.next() == ("ended", CallEnd("no_answer", 408, 102))
    assert handler.is_told_nothing()


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    office.do(lambda: dialog.hang_up())
    cancel = far.expect("CANCEL ")
    far.reply(invite, "200 OK", ("Contact", f"<sip:1001@{HOST}:{far.port}>"), body=FAR_SDP)
    far.reply(cancel, "481 Call/Transaction Does Not Exist")
    seen = {message.method for message in (far.receive(), far.receive()) if message}
    assert seen == {"ACK", "BYE"}
    assert handler.is_told_nothing()


def test_one_that_says_nothing_at_all_is_unreachable(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, timeout_s=0.2)
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))


def test_a_fault_of_the_call_layer_ends_its_call_alone(
    office: Office, far: FarEnd, caplog: pytest.LogCaptureFixture, another: Callable[..., FarEnd]
) -> None:
    _, handler = office.dial(far)
    handler.refusal = RuntimeError("a fault of ours")
    far.take(far.ringing())
    far.reply(far.expect("BYE "), "200 OK")
    assert handler.next() == ("answered", FAR_SDP)
    assert handler.next() == ("ended", CallEnd("error", 500, 41))
    assert "a fault of ours" in caplog.text
    other = another()
    other.invite()
    other.hang_up()


def test_a_cancel_waits_for_the_first_provisional_answer(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    office.do(lambda: dialog.hang_up())
    again = far.receive(1.0)
    assert again is None or again.method == "INVITE", "RFC 3261 section 9.1"
    far.reply(invite, "180 Ringing")
    far.reply(far.expect("CANCEL "), "200 OK")
    far.reply(invite, "487 Request Terminated")
    far.expect("ACK ")
    assert handler.is_told_nothing()


@pytest.mark.parametrize(
    ("status", "challenge", "answer"),
    [
        ("401 Unauthorized", "WWW-Authenticate", "authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "proxy-authorization"),
    ],
)
def test_a_challenge_is_answered_once(office: Office, far: FarEnd, status: str, challenge: str, answer: str) -> None:
    digest = (challenge, 'Digest realm="trunk", nonce="abc", qop="auth", algorithm=MD5')
    dialog, handler = office.dial(far, username="hotline", password="secret")
    invite = far.ringing()
    far.reply(invite, status, digest)
    again = far.expect("INVITE ")
    while again.branch == invite.branch:
        again = far.expect("INVITE ")
    assert 'username="hotline"' in again.header(answer)
    far.take(again)
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    far.reply(bye, status, digest)
    again = far.expect("BYE ")
    assert again.branch != bye.branch
    assert 'uri="sip:1001@' in again.header(answer)
    far.reply(again, "200 OK")


def test_wrong_credentials_end_the_call(office: Office, far: FarEnd) -> None:
    digest = ("WWW-Authenticate", 'Digest realm="trunk", nonce="abc", algorithm=MD5')
    _, handler = office.dial(far, username="hotline", password="wrong")
    invite = far.ringing()
    far.reply(invite, "401 Unauthorized", digest)
    again = far.expect("INVITE ")
    far.reply(again, "401 Unauthorized", digest)
    assert handler.next() == ("ended", CallEnd("rejected", 401, 21))


def test_a_redirection_is_followed_to_an_allowed_address(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    other = another()
    _, handler = office.dial(far)
    invite = far.ringing()
    far.reply(
        invite, "302 Moved Temporarily", ("Contact", f"<sip:x@example.org>, <sip:1002@{HOST}:{other.port};user=phone>")
    )
    assert far.expect("ACK ").start.startswith(f"ACK sip:1001@{HOST}:{far.port}"), "the ACK stays with the transaction"
    moved = other.ringing()
    assert moved.start.startswith(f"INVITE sip:1002@{HOST}:{other.port}")
    other.take(moved)
    assert handler.next() == ("answered", FAR_SDP)
    other.hang_up()


def test_the_credentials_do_not_follow_a_redirection_to_another_host(
    office: Office, far: FarEnd, monkeypatch: pytest.MonkeyPatch, another: Callable[..., FarEnd]
) -> None:
    monkeypatch.setattr(office.server.admission, "_trunks", (ip_network("127.0.0.0/8"),))
    other = another("127.0.0.8")
    _, handler = office.dial(far, username="hotline", password="secret")
    far.reply(far.ringing(), "302 Moved Temporarily", ("Contact", f"<sip:1002@127.0.0.8:{other.port}>"))
    digest = ("WWW-Authenticate", 'Digest realm="trunk", nonce="abc", algorithm=MD5')
    other.reply(other.ringing(), "401 Unauthorized", digest)
    assert other.expect("ACK ")
    assert handler.next() == ("ended", CallEnd("rejected", 401, 21))


@pytest.mark.parametrize("contact", ["sip:1002@example.org", "sip:1002@192.0.2.1", "mailto:a@b", "sip:1@[::1"])
def test_a_redirection_to_elsewhere_is_not_followed(office: Office, far: FarEnd, contact: str) -> None:
    _, handler = office.dial(far)
    far.reply(far.ringing(), "302 Moved Temporarily", ("Contact", f"<{contact}>"))
    name, end = handler.next()
    assert (name, end.reason, end.sip_code) == ("ended", "unreachable", 302)


def test_a_circle_of_redirections_is_left(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    branches = set()
    while handler.events.empty():
        message = far.receive(0.5)
        if message is None:
            break
        if message.start.startswith("INVITE") and message.branch not in branches:
            branches.add(message.branch)
            far.reply(message, "302 Moved Temporarily", ("Contact", f"<sip:1001@{HOST}:{far.port}>"))
    assert handler.next() == ("ended", CallEnd("unreachable", 302, None))
    assert len(branches) == 4


def test_a_name_is_never_looked_up(office: Office, far: FarEnd) -> None:
    with pytest.raises(InvalidInputError, match="numeric"):
        office.dial(far, uri="sip:1001@localhost")
    dialog, handler = office.dial(far, uri="sip:1001@carrier.invalid", hop=(HOST, far.port))
    invite = far.ringing()
    assert invite.start == "INVITE sip:1001@carrier.invalid SIP/2.0"
    far.reply(invite, "200 OK", ("Contact", "<sip:1001@carrier.invalid>"), body=FAR_SDP)
    assert far.expect("ACK ").start == "ACK sip:1001@carrier.invalid SIP/2.0"
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    far.reply(far.expect("BYE "), "200 OK")


def test_a_phone_sends_no_call_to_a_carrier(office: Office, far: FarEnd, another: Callable[..., FarEnd]) -> None:
    phone = another("127.0.0.9")
    _, handler = office.dial(phone, uri=f"sip:8001@127.0.0.9:{phone.port}")
    phone.reply(phone.ringing(), "302 Moved Temporarily", ("Contact", f"<sip:0044900@{HOST}:{far.port}>"))
    name, end = handler.next()
    assert (name, end.reason, end.sip_code) == ("ended", "unreachable", 302)
    assert far.receive(0.2) is None


def test_a_phone_behind_nat_is_spoken_to_where_it_spoke_from(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    phone = another("127.0.0.9")
    dialog, handler = office.dial(phone, uri=f"sip:8001@{HOST}:{far.port}", hop=("127.0.0.9", phone.port))
    invite = phone.ringing()
    assert invite.start == f"INVITE sip:8001@{HOST}:{far.port} SIP/2.0"
    phone.reply(invite, "200 OK", ("Contact", f"<sip:8001@{HOST}:{far.port}>"), body=FAR_SDP)
    phone.expect("ACK ")
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    phone.reply(phone.expect("BYE "), "200 OK")
    assert far.receive(0.1) is None


def test_a_phone_behind_an_edge_is_rung_by_its_route(office: Office, far: FarEnd) -> None:
    route = f"<sip:{HOST}:{far.port};lr;received=sip:203.0.113.9:40000>"
    dialog, handler = office.dial(
        far, uri="sip:8001@df7jal.invalid;transport=ws", routes=(route,), hop=(HOST, far.port)
    )
    invite = far.ringing()
    assert invite.start == "INVITE sip:8001@df7jal.invalid;transport=ws SIP/2.0"
    assert invite.header("route") == route
    recorded = f"<sip:{HOST}:{far.port};did=1;lr>"
    taken = (("Contact", "<sip:8001@df7jal.invalid;transport=ws>"), ("Record-Route", recorded))
    far.reply(invite, "200 OK", *taken, body=FAR_SDP)
    assert far.expect("ACK ").header("route") == recorded
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    assert list(bye.all("route")) == [recorded]
    far.reply(bye, "200 OK")


@pytest.mark.parametrize("asserted", [True, False])
@pytest.mark.parametrize("privacy", [True, False])
def test_who_calls_is_told_to_a_carrier_that_is_trusted_and_to_nobody_else(
    office: Office, far: FarEnd, *, asserted: bool, privacy: bool
) -> None:
    given = {"domain": "carrier.example", "caller_id": "01069100000", "asserted": asserted}
    _, handler = office.dial(far, privacy=privacy, **given)
    invite = far.ringing()
    identities = ["<sip:01069100000@carrier.example>"] if asserted else []
    assert list(invite.all("p-asserted-identity")) == identities
    assert list(invite.all("privacy")) == (["id"] if privacy else [])
    shown = "anonymous@anonymous.invalid" if privacy else "01069100000@carrier.example"
    assert f"<sip:{shown}>" in invite.header("from")
    if privacy:
        assert "热线" not in invite.header("from")
        assert "01069100000" not in invite.header("contact")
    far.reply(invite, "486 Busy Here")
    assert handler.next()[0] == "ended"


def test_a_carrier_that_says_nothing_is_left_soon_and_one_that_rings_is_not(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, patience_s=0.2)
    invite = far.ringing()
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))
    far.reply(invite, "486 Busy Here")
    far.expect("ACK ")
    dialog, handler = office.dial(far, patience_s=0.2)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    time.sleep(0.3)
    assert handler.events.empty(), "it rings for as long as it takes"
    office.do(lambda: dialog.hang_up())
    far.reply(far.expect("CANCEL "), "200 OK")
    far.reply(invite, "487 Request Terminated")


def test_one_whom_we_call_is_heard_though_he_is_no_peer(office: Office, another: Callable[..., FarEnd]) -> None:
    stranger = another("127.0.0.9")
    stranger.send(stranger.request("OPTIONS").serialize().replace(b"OPTIONS", b"INVITE"))
    assert stranger.receive(0.3) is None
    _, handler = office.dial(stranger, uri=f"sip:1001@127.0.0.9:{stranger.port}")
    stranger.take(stranger.ringing())
    assert handler.next() == ("answered", FAR_SDP)
    stranger.hang_up()


@pytest.mark.parametrize("body", ["", "v=0\r\nnonsense"])
def test_an_answer_that_is_none_is_hung_up(office: Office, far: FarEnd, body: str) -> None:
    dialog, handler = office.dial(far)
    if body:
        handler.refusal = InvalidInputError("no SDP")
    far.take(far.ringing(), body=body)
    bye = far.expect("BYE ")
    assert bye.header("reason") == "SIP;cause=488"
    far.reply(bye, "200 OK")
    while (event := handler.next())[0] != "ended":
        pass
    assert event[1] == CallEnd("error", 488, 31)
    office.do(lambda: dialog.hang_up())


def test_a_call_that_does_not_fit_is_not_placed(office: Office, far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.server, "_max_calls", 0)
    with pytest.raises(UnavailableError):
        office.dial(far)
    assert far.receive(0.2) is None


def test_sipp_takes_a_call_of_ours_for_the_right_password(sipp: SippDials) -> None:
    with sipp("challenge"):
        pass
