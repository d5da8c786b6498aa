"""What a trunk does on bad days: lost, doubled and crossing messages, hold, silence."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.call import CallPlan, Phone
from demo.compare import caller_channel_matches
from demo.g711 import Law, encode
from demo.media_process import HOST, MediaProcess
from demo.sdp import describe
from demo.sip import SipUri

MEDIA_SETTINGS = {"HOTLINE_MEDIA__RTP_TIMEOUT_S": "4"}


def plan(media: MediaProcess, **changes: Any) -> CallPlan:
    given: dict[str, Any] = {"caller": f"134{secrets.randbelow(10**8):08d}", "start_after": 0.0, "press": ""}
    return CallPlan(to=SipUri("12345", HOST, media.sip_port), **{**given, "limit": 20.0, **changes})


def test_a_repeated_invite_is_one_call_with_one_answer(media: MediaProcess, line: Any) -> None:
    invite = line.request("INVITE")
    for _ in range(3):
        line.send(invite)
    answer = line.final()
    line.send(invite)
    again = line.final()
    assert again.header("to") == answer.header("to")
    assert again.body == answer.body
    line.send(line.request("ACK", to=answer.header("to")))
    line.send(line.request("BYE", cseq=2, to=answer.header("to")))
    assert line.final("BYE").status == 200
    calls = media.calls_of(line.caller)
    assert [call.first("ended")["reason"] for call in calls] == ["caller_hangup"]


@pytest.mark.parametrize("name", ["张山营镇热线".encode(), b"\xd1\xd3\xc7\xec"], ids=["UTF-8", "GBK"])
def test_a_session_named_in_chinese_is_answered(media: MediaProcess, line: Any, name: bytes) -> None:
    line.send(line.request("INVITE", body=describe(HOST, line.port, Law.PCMA).replace(b"s=call", b"s=" + name)))
    answer = line.final()
    assert answer.status == 200
    line.send(line.request("ACK", to=answer.header("to")))
    line.send(line.request("BYE", cseq=2, to=answer.header("to")))
    assert line.final("BYE").status == 200


def test_a_second_hotline_cannot_take_the_port(media: MediaProcess, tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    own = {"DATA_DIR": str(tmp_path), "NODE": "other", "SIP__ADDRESS": HOST, "SIP__PORT": str(media.sip_port)}
    second = subprocess.run(
        [sys.executable, "-m", "hotline.cli", "run", "media"],
        env=clean | {f"HOTLINE_{key}": value for key, value in own.items()},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert f"{media.sip_port} cannot be opened" in second.stderr
    assert media.answers()


def test_an_address_that_is_not_the_machines_is_named_with_its_setting(tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    own = {"DATA_DIR": str(tmp_path), "SIP__ADDRESS": "192.0.2.1"}
    done = subprocess.run(
        [sys.executable, "-m", "hotline.cli", "run", "media"],
        env=clean | {f"HOTLINE_{key}": value for key, value in own.items()},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "192.0.2.1:5060 cannot be opened" in done.stderr
    assert "HOTLINE_SIP__ADDRESS" in done.stderr


def test_a_refused_call_leaves_nothing_in_the_spool(media: MediaProcess, line: Any) -> None:
    body = describe(HOST, line.port, Law.PCMA).replace(f"c=IN IP4 {HOST}".encode(), b"c=IN IP6 ::1")
    assert b"IP6" in body
    line.send(line.request("INVITE", body=body))
    assert line.final().status == 488
    media.wait_for_calls(len(media.calls()))
    until = time.monotonic() + 3.0
    while len(media.recordings()) > len(media.calls()) and time.monotonic() < until:
        time.sleep(0.02)  # the recorder's thread removes its file
    assert len(media.recordings()) == len(media.calls())


def test_a_caller_cannot_blot_out_the_journal_with_line_separators(media: MediaProcess, line: Any) -> None:
    line.send(line.request("INVITE").serialize().replace(b"INVITE sip:12345@", b"INVITE sip:1%E2%80%A8x%C2%85y@"))
    answer = line.final()
    line.send(line.request("ACK", to=answer.header("to")))
    line.send(line.request("BYE", cseq=2, to=answer.header("to")))
    assert line.final("BYE").status == 200
    (call,) = media.calls_of(line.caller)
    assert call.first("opened")["called"] == "1xy"


def test_an_answer_is_repeated_until_it_is_acknowledged(media: MediaProcess, line: Any) -> None:
    line.send(line.request("INVITE"))
    first, second, third = line.final(), line.final(), line.final()
    assert first.serialize() == second.serialize() == third.serialize()
    line.send(line.request("ACK", to=first.header("to")))
    line.send(line.request("BYE", cseq=2, to=first.header("to")))
    assert line.final("BYE").status == 200
    assert len(media.calls_of(line.caller)) == 1


def test_a_cancel_with_the_invite_leaves_no_call_behind(media: MediaProcess, line: Any) -> None:
    invite = line.request("INVITE")
    line.send(invite)
    line.send(line.request("CANCEL", branch=invite.branch))
    answers = {}
    while len(answers) < 2:
        message = line.receive()
        assert message is not None, answers
        if (message.status or 0) >= 200:
            answers[message.method] = message
    assert answers["CANCEL"].status in (200, 481)
    assert answers["INVITE"].status in (200, 487)
    line.send(line.request("ACK", to=answers["INVITE"].header("to"), branch=invite.branch))
    answered = answers["INVITE"].status == 200  # the answer was faster (RFC 3261 section 9.2)
    if answered:
        line.send(line.request("BYE", cseq=2, to=answers["INVITE"].header("to")))
        assert line.final("BYE").status == 200
    assert len(media.calls_of(line.caller, count=int(answered))) <= 1


def test_a_second_bye_is_told_that_the_call_is_over(media: MediaProcess, line: Any) -> None:
    line.send(line.request("INVITE"))
    to = line.final().header("to")
    line.send(line.request("ACK", to=to))
    bye = line.request("BYE", cseq=2, to=to)
    line.send(bye)
    assert line.final("BYE").status == 200
    line.send(bye)
    assert line.final("BYE").status == 200, "the same again is a repetition"
    line.send(line.request("BYE", cseq=3, to=to))
    assert line.final("BYE").status in (200, 481)
    assert len(media.calls_of(line.caller)) == 1


def test_a_lost_acknowledgement_does_not_hinder_the_end(media: MediaProcess, line: Any) -> None:
    line.send(line.request("INVITE"))
    to = line.final().header("to")
    line.send(line.request("BYE", cseq=2, to=to))
    assert line.final("BYE").status == 200
    assert media.calls_of(line.caller)[0].first("ended")["reason"] == "caller_hangup"


@pytest.mark.parametrize("transport", ["", ";transport=udp", ";transport=UDP", ";transport=tcp"])
def test_a_caller_without_sound_is_hung_up(media: MediaProcess, line: Any, transport: str) -> None:
    invite = line.request("INVITE").serialize()
    contact = f"Contact: <sip:{line.caller}@{HOST}:{line.port}".encode()
    assert contact in invite
    line.send(invite.replace(contact, contact + transport.encode()))
    to = line.final().header("to")
    line.send(line.request("ACK", to=to))
    bye = line.receive(timeout_s=8)
    assert bye is not None
    assert bye.start.startswith(f"BYE sip:{line.caller}@")
    assert bye.header("from") == to
    line.send(bye.reply("200 OK"))
    (call,) = media.calls_of(line.caller)
    assert call.first("ended")["reason"] == "media_timeout"
    assert not call.first("demand")


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_a_held_caller_hears_nothing_and_is_recorded_exactly_afterwards(
    media: MediaProcess, utterance: NDArray[np.int16], direction: Any
) -> None:
    phone = Phone(call := plan(media, start_after=1.6, audio=encode(utterance, Law.PCMA), hang_up_after=0.3))
    running = asyncio.create_task(phone.run())
    await phone.answered
    await asyncio.sleep(0.5)
    await phone.hold(direction)
    await asyncio.sleep(0.1)
    before = phone.packets_received
    await asyncio.sleep(0.6)
    while_held = phone.packets_received - before
    await phone.resume()
    result = await running
    assert while_held == 0
    assert result.reason == "hung_up"
    assert phone.packets_received > before + 100
    (recorded,) = await asyncio.to_thread(media.calls_of, call.caller)
    assert recorded.first("held")["offset_ms"] < recorded.first("resumed")["offset_ms"]
    assert caller_channel_matches(recorded.channels()[:, 0], result.sent).exact


@pytest.mark.parametrize("digit", ["5", "*"])
async def test_a_digit_with_three_ends_is_one_digit(media: MediaProcess, digit: str) -> None:
    result = await Phone(call := plan(media, press=digit, hang_up_after=0.3)).run()
    assert result.reason == "hung_up"
    (recorded,) = await asyncio.to_thread(media.calls_of, call.caller)
    assert [line["digit"] for line in recorded.journal if line["kind"] == "digit"] == [digit]


async def test_a_whole_call_is_announced_recorded_and_ended_by_the_hotline(
    media: MediaProcess, utterance: NDArray[np.int16]
) -> None:
    events: list[str] = []
    call = plan(media, start_after=None, press="#", audio=encode(utterance, Law.PCMA), limit=60.0)
    result = await Phone(call, lambda event, data: events.append(event)).run()
    assert result.reason == "far_end_hung_up"
    assert events.index("answered") < events.index("heard") < events.index("speaking") < events.index("digit")
    (recorded,) = await asyncio.to_thread(media.calls_of, call.caller)
    assert recorded.first("ended")["reason"] == "completed"
    demand = recorded.first("demand")
    assert 3500 < demand["end_ms"] - demand["start_ms"] < 6000
    assert caller_channel_matches(recorded.channels()[:, 0], result.sent).exact
    assert result.received.lost == 0
