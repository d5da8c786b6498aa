"""Session timers (RFC 4028) as the far end sees them."""

import time

import pytest
from dialog_rig import FAR_SDP, OUR_SDP, FarEnd, Office

from ivr.sip import CallEnd


def test_a_session_too_brief_is_refused_with_our_least(far: FarEnd, office: Office) -> None:
    answer = far.ask("INVITE", ("Supported", "timer"), ("Session-Expires", "1"), body=FAR_SDP)
    assert (answer.status, answer.header("min-se")) == (422, "2")
    assert office.calls.empty()


def test_a_session_that_nobody_refreshes_is_hung_up(office: Office, far: FarEnd) -> None:
    answer = far.invite(("Supported", "timer"), ("Session-Expires", "2;refresher=uac"))
    assert answer.header("session-expires") == "2;refresher=uac"
    assert answer.header("require") == "timer"
    _, _, handler = office.call()
    bye = far.expect("BYE ")
    assert bye.header("reason") == "SIP;cause=408"
    assert handler.next() == ("ended", CallEnd("session_expired", 408, 102))


def test_a_refreshed_session_lives_on(office: Office, far: FarEnd) -> None:
    timer = (("Supported", "timer"), ("Session-Expires", "3;refresher=uac"))
    far.invite(*timer)
    for _ in range(3):
        assert far.receive(1.0) is None
        assert far.ask("UPDATE", *timer).header("session-expires") == "3;refresher=uac"
    far.hang_up()
    office.call()


@pytest.mark.parametrize(("allow", "method"), [("INVITE, ACK, BYE, UPDATE", "UPDATE"), ("INVITE, ACK, BYE", "INVITE")])
def test_we_refresh_a_session_at_half_its_time(office: Office, far: FarEnd, allow: str, method: str) -> None:
    far.invite(("Supported", "timer"), ("Session-Expires", "2;refresher=uas"), ("Allow", allow))
    began = time.monotonic()
    refresh = far.expect(f"{method} ")
    assert 0.9 < time.monotonic() - began < 1.5
    assert refresh.header("session-expires") == "2;refresher=uac"
    timer = ("Session-Expires", "2;refresher=uac")
    if method == "INVITE":
        assert refresh.body.decode() == OUR_SDP
        far.take(refresh, timer)
    else:
        assert refresh.body == b""
        far.reply(refresh, "200 OK", timer)
    again = far.expect(f"{method} ")
    assert again.branch != refresh.branch
    if method == "INVITE":
        far.take(again, timer)
    else:
        far.reply(again, "200 OK", timer)
    far.hang_up()
    office.call()


def test_a_call_of_ours_takes_the_longer_session_that_the_far_end_wants(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    invite = far.ringing()
    assert invite.header("session-expires") == "1800"
    far.reply(invite, "422 Session Interval Too Small", ("Min-SE", "3600"))
    longer = far.expect("INVITE ")
    while longer.branch == invite.branch:
        longer = far.expect("INVITE ")
    assert (longer.header("session-expires"), longer.header("min-se")) == ("3600", "3600")
    far.call_id, far.remote = longer.header("call-id"), longer.header("from")
    far.take(longer, ("Session-Expires", "3600;refresher=uas"))
    assert handler.next() == ("answered", FAR_SDP)
    far.hang_up()
