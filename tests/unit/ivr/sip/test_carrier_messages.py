"""What a carrier's answer to REGISTER grants us, among all that it says."""

import pytest
from sippy.SipResponse import SipResponse

from ivr.sip.carrier_messages import CarrierMessages
from ivr.trunks.carriers import Carrier

OWN = ("192.0.2.10", 5060)
OURS = "<sip:01069101234@192.0.2.10:5060>;expires=300"
ANOTHER = "<sip:01069101234@192.0.2.99:5060>;expires=3000"
REWRITTEN = "<sip:01069101234@198.51.100.7:40000>;expires=240"


def answer(*headers: str) -> SipResponse:
    lines = (
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1",
        "From: <sip:01069101234@carrier.example>;tag=1",
        "To: <sip:01069101234@carrier.example>;tag=2",
        "Call-ID: x",
        "CSeq: 1 REGISTER",
        *headers,
        "Content-Length: 0",
    )
    return SipResponse("\r\n".join((*lines, "", "")))


@pytest.mark.parametrize(
    ("headers", "granted_s"),
    [
        ((f"Contact: {ANOTHER}", f"Contact: {OURS}"), 300),  # RFC 3261 section 10.2.4: one's own is looked for
        ((f"Contact: {OURS}, {ANOTHER}",), 300),
        ((f"Contact: {REWRITTEN}",), 240),
        (("Contact: <sip:other@192.0.2.10:5060>;expires=3000", "Expires: 200"), 200),
        ((), 600),
    ],
)
def test_the_time_is_that_of_our_own_contact(headers: tuple[str, ...], granted_s: int) -> None:
    messages = CarrierMessages(Carrier("city", "carrier.example", username="01069101234"))
    assert messages.granted_s(answer(*headers), own=OWN, asked_s=600) == granted_s
