"""REFER and Replaces as the far end sees them, message by message."""

import re
import secrets
from collections.abc import Callable

import pytest
from dialog_rig import FAR_SDP, FarEnd, Office, SippDials

from demo.media_process import HOST
from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from ivr.sip import Replaces, TransferTarget


@pytest.mark.parametrize("attended", [False, True])
def test_sipp_is_asked_to_call_somebody_else(office: Office, far: FarEnd, sipp: SippDials, attended: bool) -> None:
    other, _ = office.dial(far)
    far.take(far.ringing())
    wanted = "Replaces=" if attended else "&lt;sip:1002@127.0.0.1&gt;"
    with sipp("referred", wanted=wanted) as (dialog, handler):
        office.do(lambda: dialog.refer("sip:1002@127.0.0.1", replaces=other if attended else None))
        assert handler.next() == ("transfer_result", 200)
    far.hang_up()


def test_a_blind_transfer_is_told_and_its_progress_notified(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>"), ("Referred-By", "<sip:1001@127.0.0.1>")).status == 202
    name, target = handler.next()
    assert (name, target.user, target.replaces) == ("transfer", "1002", None)
    assert target.referred_by == "<sip:1001@127.0.0.1>"
    notify = far.expect("NOTIFY ")
    assert notify.body == b"SIP/2.0 100 Trying\r\n"
    assert notify.header("event") == f"refer;id={far.cseq}"
    assert notify.header("subscription-state").startswith("active")
    assert notify.header("content-type").startswith("message/sipfrag")
    far.reply(notify, "200 OK")
    office.do(lambda: dialog.transfer_progress(200))
    notify = far.expect("NOTIFY ")
    assert notify.body == b"SIP/2.0 200 OK\r\n"
    assert notify.header("subscription-state") == "terminated;reason=noresource"
    far.reply(notify, "200 OK")
    office.do(lambda: dialog.transfer_progress(200))
    assert far.receive(0.3) is None, "the subscription is over"
    far.hang_up()


@pytest.mark.parametrize("at_once", [True, False])
def test_who_transfers_hears_how_it_went_before_he_is_hung_up(office: Office, far: FarEnd, at_once: bool) -> None:
    far.invite()
    _, dialog, handler = office.call()

    def done() -> None:
        dialog.transfer_progress(200)
        dialog.hang_up()

    handler.on_transfer = lambda _target: done() if at_once else None  # type: ignore[method-assign]
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>")).status == 202
    if not at_once:
        far.reply(far.expect("NOTIFY "), "200 OK")
        office.do(done)
    told = []
    while (message := far.receive()) is not None and message.method == "NOTIFY":
        told.append(message.body)
        far.reply(message, "200 OK")
    assert told[-1] == b"SIP/2.0 200 OK\r\n"
    assert message is not None
    assert message.method == "BYE"
    far.reply(message, "200 OK")


def test_an_attended_transfer_names_the_dialog(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    refer_to = "<sip:1002@127.0.0.1?Replaces=abc%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    assert far.ask("REFER", ("Refer-To", refer_to)).status == 202
    assert handler.next()[1].replaces == Replaces("abc@x", "1", "2")
    far.reply(far.expect("NOTIFY "), "200 OK")
    assert far.ask("REFER", ("Refer-To", refer_to)).status == 491, "one at a time"
    far.hang_up()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ForbiddenError("no"), 403),
        (NotFoundError("nobody"), 404),
        (UnavailableError("full"), 503),
        (InvalidInputError("what"), 400),
    ],
)
def test_a_transfer_is_refused(office: Office, far: FarEnd, error: Exception, status: int) -> None:
    far.invite()
    _, _, handler = office.call()
    handler.refusal = error
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>")).status == status
    assert far.receive(0.2) is None, "no subscription"
    assert far.ask("REFER").status == 400
    assert far.ask("REFER", ("Refer-To", "<tel:110>")).status == 400
    far.hang_up()


def test_our_refer_is_told_how_it_went(office: Office, far: FarEnd, another: Callable[..., FarEnd]) -> None:
    other = another()
    far.invite()
    other.invite()
    _, dialog, handler = office.call()
    _, consulted, _ = office.call()
    office.do(lambda: dialog.refer("sip:1002@127.0.0.1", replaces=consulted))
    refer = far.expect("REFER ")
    tag = re.search("tag=(.*)", other.remote)
    assert tag is not None
    expected = f"{other.call_id};to-tag=far;from-tag={tag[1]}"
    assert refer.header("refer-to").startswith("<sip:1002@127.0.0.1?Replaces=")
    assert TransferTarget.parse(refer.header("refer-to")).replaces == Replaces.parse(expected)
    far.reply(refer, "202 Accepted")

    def notify(fragment: str, state: str = "active") -> int | None:
        extra = (("Event", "refer"), ("Subscription-State", state))
        return far.ask("NOTIFY", *extra, body=fragment, content_type="message/sipfrag").status

    assert notify("SIP/2.0 100 Trying") == 200
    assert handler.is_told_nothing()
    assert notify("nonsense") == 400
    assert notify("SIP/2.0 486 Busy Here", "terminated;reason=noresource") == 200
    assert handler.next() == ("transfer_result", 486)
    assert notify("SIP/2.0 200 OK") == 481, "it is over"
    assert far.ask("NOTIFY", ("Event", "dialog")).status == 489
    far.hang_up()
    other.hang_up()


def test_a_refused_refer_is_told(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.refer("sip:1002@127.0.0.1"))
    far.reply(far.expect("REFER "), "603 Decline")
    assert handler.next() == ("transfer_result", 603)
    far.hang_up()


def test_an_invitation_that_replaces_a_call_names_it(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    far.invite()
    office.call()
    tag = re.search("tag=(.*)", far.remote)
    assert tag is not None
    other = another()
    other.invite(("Replaces", f"{far.call_id};to-tag={tag[1]};from-tag=far"), ("Require", "replaces"))
    invitation, _, _ = office.call()
    assert invitation.replaces == Replaces(far.call_id, tag[1], "far")
    other.hang_up()
    for replaces, status in (
        (f"{far.call_id};to-tag={tag[1]};from-tag=other", 481),
        (f"nobody;to-tag={tag[1]};from-tag=far", 481),
        (f"{far.call_id};to-tag={tag[1]};from-tag=far;early-only", 486),
        ("nonsense", 400),
    ):
        other.remote, other.call_id = f"<sip:12345@{HOST}>", secrets.token_hex(8)
        assert other.ask("INVITE", ("Replaces", replaces), body=FAR_SDP).status == status
    far.hang_up()
