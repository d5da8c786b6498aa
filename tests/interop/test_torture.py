"""RFC 4475's torture messages against the running hotline: what a user agent server that is no proxy answers.

Each is sent as printed, from a loopback address of its own and the port its Via names, for that is where the response
goes (RFC 3261 section 18.2.2).
"""

import asyncio
import random
import re
import select
import socket
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from torture_messages import MESSAGES

from demo.call import CallPlan, Phone
from demo.compare import caller_channel_matches
from demo.g711 import Law, encode
from demo.media_process import HOST, MediaProcess
from demo.sip import SipUri

MEDIA_SETTINGS = {"HOTLINE_MEDIA__RTP_TIMEOUT_S": "3"}  # ends calls whose media is at an address of no one

SILENCE = None
CALLED = (200, 403, 404)  # a call, where the number is ours
REGISTERED = (200, 401, 403, 404, 405)  # an answer of a registrar, or of one that is none
PROBED = (200, 404)
UNKNOWN_METHOD = (405, 501)
LIBERAL = (*PROBED, 400)  # section 3.1.2 leaves both open
EXPECTED: dict[str, tuple[int, ...] | None] = {
    # 3.1.1 valid
    "wsinv": (481,),  # To has the tag of a dialog that is not
    "intmeth": UNKNOWN_METHOD,
    "esc01": CALLED,
    "escnull": REGISTERED,
    "esc02": UNKNOWN_METHOD,
    "lwsdisp": PROBED,
    "longreq": CALLED,
    "dblreq": REGISTERED,
    "semiuri": PROBED,
    "transports": PROBED,
    "mpart01": (405, 415, 501),
    "unreason": SILENCE,
    "noreason": SILENCE,
    # 3.1.2 invalid
    "badinv01": (400,),
    "clerr": (400,),
    "ncl": (400,),
    "scalar02": (400,),
    "scalarlg": SILENCE,
    "quotbal": (400,),
    "ltgtruri": (400,),
    "lwsruri": (400,),
    "lwsstart": (*CALLED, 400),
    "trws": LIBERAL,
    "escruri": (*CALLED, 400),
    "baddate": (*CALLED, 400),
    "regbadct": (400,),
    "badaspec": (400,),
    "baddn": (400,),
    "badvers": (505,),
    "mismatch01": (400,),
    "mismatch02": (400, 501),
    "bigcode": SILENCE,
    # 3.2 to 3.4
    "badbranch": PROBED,
    "insuf": (400,),
    "unkscm": (416,),
    "novelsc": (416,),
    "unksm2": (400, 403, 404, 405),
    "bext01": (420,),
    "invut": (415,),
    "regaut01": REGISTERED,
    "multi01": (400,),
    "mcl01": (400,),
    "bcast": SILENCE,
    "zeromf": PROBED,
    "cparam01": REGISTERED,
    "cparam02": REGISTERED,
    "regescrt": REGISTERED,
    "sdp01": (400, 406),
    "inv2543": (*CALLED, 400),
}
COUNTED = {
    "badinv01": "via",
    "clerr": "content_length",
    "ncl": "content_length",
    "scalar02": "cseq",
    "quotbal": "to",
    "ltgtruri": "request_uri",
    "lwsruri": "request_uri",
    "regbadct": "contact",
    "badaspec": "to",
    "baddn": "from",
    "badvers": "version",
    "mismatch01": "cseq",
    "mismatch02": "cseq",
    "bigcode": "status_line",
    "insuf": "missing_header",
    "unkscm": "uri_scheme",
    "novelsc": "uri_scheme",
    "unksm2": "to",
    "multi01": "repeated_header",
    "mcl01": "repeated_header",
    "sdp01": "accept",
}
SILENCE_S, ANSWER_S = 0.15, 3.0


def responses(media: MediaProcess, message: bytes, *, silent: bool) -> list[bytes]:
    """What comes back: until the final response and a little longer, for there must be one only."""
    via = re.search(rb"(?im)^(?:via|v)\s*:\s*[^\r\n]*?:(\d+)", message)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        own = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        port = int(via[1]) if via else 5060
        try:
            line.bind((own, port))
        except OSError:
            pytest.skip(f"another program holds port {port} on all addresses, and the answer goes there")
        line.sendto(message, media.address)
        found: list[bytes] = []
        until = time.monotonic() + (SILENCE_S if silent else ANSWER_S)
        while (left := until - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
            found.append(line.recv(65536))
            if int(found[-1][8:11]) >= 200:
                until = min(until, time.monotonic() + 0.05)
        return found


def refused(media: MediaProcess, reason: str) -> int:
    return media.log().count(f"message refused: {reason}\n")


def test_all_messages_of_the_rfc_are_there() -> None:
    assert len(MESSAGES) == 49
    assert set(MESSAGES) == set(EXPECTED)
    wrong = {"dblreq", "clerr", "ncl", "mcl01"}  # whose Content-Length is what they are about
    for name in set(MESSAGES) - wrong:
        head, _, body = MESSAGES[name].partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
        assert length is None or int(length[1]) == len(body), name


@pytest.mark.parametrize("name", MESSAGES)
def test_a_torture_message_is_answered_as_the_rfc_says(media: MediaProcess, name: str) -> None:
    expected = EXPECTED[name]
    before = refused(media, COUNTED.get(name, ""))
    found = responses(media, MESSAGES[name], silent=expected is SILENCE)
    statuses = [int(response[8:11]) for response in found]
    finals = [status for status in statuses if status >= 200]
    assert all(response.startswith(b"SIP/2.0 ") for response in found)
    if expected is SILENCE:
        assert not found
    else:
        assert len(finals) == 1
        assert finals[0] in expected
    assert media.running, media.log()[-3000:]
    assert media.answers(timeout_s=2), "OPTIONS is answered as before"
    assert refused(media, COUNTED.get(name, "")) == before + (name in COUNTED)


async def test_after_the_torture_a_call_is_recorded_exactly(media: MediaProcess, utterance: NDArray[np.int16]) -> None:
    for message in MESSAGES.values():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(message, media.address)
    call = CallPlan(
        to=SipUri("12345", HOST, media.sip_port),
        caller="13600004475",
        audio=encode(utterance, Law.PCMA),
        start_after=0.0,
        press="",
        hang_up_after=0.3,
        limit=20.0,
    )
    result = await Phone(call).run()
    assert (result.reason, result.status) == ("hung_up", 200)
    calls = await asyncio.to_thread(media.wait_for_calls, len(media.calls()))
    (recorded,) = [item for item in calls if item.first("opened")["caller"] == call.caller]
    assert caller_channel_matches(recorded.channels()[:, 0], result.sent).exact
