"""SIPp as trunk and as phone: its exit code and our journal must agree on what happened."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from office_rig import SETTINGS, TRUNK, add_extensions, secret
from sipp_rig import Sipp

from demo.compare import caller_channel_matches
from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess, RecordedCall, free_port
from ivr.media import tones

MEDIA_SETTINGS = SETTINGS
PHONE = "127.0.0.5"
DESKS = {"8001": "127.0.0.6", "8002": "127.0.0.7", "8003": "127.0.0.8"}
Start = Callable[..., Sipp]


@pytest.fixture(scope="module", autouse=True)
def _extensions(media: MediaProcess) -> None:
    add_extensions(media)


@pytest.fixture
def sipp(media: MediaProcess, program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Start]:
    """Starts SIPp in a scenario; what still runs at the end of the test is stopped."""
    name = program("sipp", "sip-tester")
    started: list[Sipp] = []

    def start(scenario: str, *, host: str = TRUNK, **more: Any) -> Sipp:
        started.append(Sipp(name, scenario, media.address, tmp_path / str(len(started)), host=host, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def placed(media: MediaProcess, sipp: Start) -> Callable[[str], RecordedCall]:
    """Plays a scenario as a trunk's caller and returns the call that we recorded."""

    def place(scenario: str, **keys: str) -> RecordedCall:
        caller = f"139{secrets.randbelow(10**8):08d}"
        sipp(scenario, keys={"caller": caller, **keys}).succeeds()
        (call,) = media.calls_of(caller)
        assert call.first("ended")["reason"] == "caller_hangup"
        return call

    return place


Placed = Callable[..., RecordedCall]


def told(call: RecordedCall, *kinds: str) -> list[str]:
    """The kinds of the journal's lines, in order, of those asked for."""
    return [line["kind"] for line in call.journal if line["kind"] in kinds]


def test_calls_in_both_laws_are_recorded_sample_by_sample(
    media: MediaProcess, sipp: Start, tmp_path: Path, utterance: NDArray[np.int16]
) -> None:
    callers = {Law.PCMA: "13900000008", Law.PCMU: "13900000000"}
    running = []
    for law, caller in callers.items():
        voice = tmp_path / f"{law.name}.raw"
        voice.write_bytes(encode(utterance, law))
        keys = {"caller": caller, "payload": str(law.value), "codec": law.name, "voice": str(voice)}
        running.append(sipp("basic", keys=keys | {"milliseconds": "5000"}))
    for each in running:
        each.succeeds()
    for law, caller in callers.items():
        (call,) = media.calls_of(caller)
        opened, ended = call.first("opened"), call.first("ended")
        assert (opened["called"], opened["peer"], opened["codec"]) == ("12345", TRUNK, law.name)
        assert ended["reason"] == "caller_hangup"
        stereo = call.channels()
        assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
        assert 4900 < ended["duration_ms"] < 6500
        assert caller_channel_matches(stereo[:, 0], decode(encode(utterance, law), law)).exact
        assert np.abs(stereo[:, 1]).max() > 3000, "the announcement is on our side's channel"


def test_hold_is_understood_in_every_form(placed: Placed) -> None:
    assert told(placed("hold"), "held", "resumed") == ["held", "resumed"] * 3


def test_an_update_holds_and_resumes(placed: Placed) -> None:
    assert told(placed("update"), "held", "resumed") == ["held", "resumed"]


def test_a_late_offer_is_answered_in_the_acknowledgement(placed: Placed) -> None:
    call = placed("late_offer")
    assert call.first("opened")["codec"] == "PCMA"
    assert np.abs(call.channels()[:, 1]).max() > 3000


def test_a_cancel_that_crosses_the_answer_leaves_the_call_to_its_bye(placed: Placed) -> None:
    assert placed("cancel").first("answered")


def test_digits_in_info_are_digits(placed: Placed) -> None:
    assert [line["digit"] for line in placed("info_digits").journal if line["kind"] == "digit"] == ["4", "2", "#"]


@pytest.mark.skipif(os.geteuid() != 0, reason="SIPp sends telephone events by a raw socket: only as root")
def test_digits_as_telephone_events_are_digits(placed: Placed) -> None:
    assert [line["digit"] for line in placed("dtmf").journal if line["kind"] == "digit"] == ["4", "2", "*", "#"]


@pytest.mark.parametrize("law", [Law.PCMA, Law.PCMU])
def test_tones_of_a_phone_that_knows_no_telephone_events_are_digits(
    placed: Placed, tmp_path: Path, utterance: NDArray[np.int16], law: Law
) -> None:
    keys = tones.dtmf("42*#", tone_ms=80, pause_ms=80)
    voice = tmp_path / "voice.raw"
    voice.write_bytes(encode(np.concatenate([utterance[:8000], keys, utterance[:8000]]), law))
    call = placed("basic", payload=str(law.value), codec=law.name, voice=str(voice), milliseconds="3000")
    assert [line["digit"] for line in call.journal if line["kind"] == "digit"] == ["4", "2", "*", "#"]


def test_an_extension_signs_in_calls_and_signs_out(media: MediaProcess, sipp: Start) -> None:
    sipp("extension", host=PHONE, keys={"caller": "8001"}, secret=secret("8001")).succeeds()
    (call,) = media.calls_of("8001")
    assert call.first("opened")["peer"] == PHONE
    assert call.first("ended")["reason"] == "caller_hangup"


@pytest.fixture
def desk(sipp: Start) -> Iterator[Callable[..., Sipp]]:
    """Signs an extension in, whose phone then does what the scenario says when it is rung."""
    seated: list[str] = []

    def sit(extension: str, scenario: str) -> Sipp:
        host = DESKS[extension]
        port = free_port(host)
        keys = {"caller": extension, "desk_port": str(port)}
        sipp("register", host=host, keys=keys, secret=secret(extension)).succeeds()
        seated.append(extension)
        return sipp(scenario, host=host, keys=keys, port=port)

    yield sit
    for each in seated:
        sipp("sign_out", host=DESKS[each], keys={"caller": each}, secret=secret(each)).succeeds()


@pytest.fixture
def caller(sipp: Start) -> Callable[..., Sipp]:
    """Signs 8001 in, which then calls as the scenario says."""

    def call(scenario: str, *, service: str = "8002", **keys: str) -> Sipp:
        host, own = DESKS["8001"], {"caller": "8001", "desk_port": "9", **keys}
        sipp("register", host=host, keys=own, secret=secret("8001")).succeeds()
        return sipp(scenario, host=host, service=service, keys=own, secret=secret("8001"))

    return call


Desk = Callable[..., Sipp]


@pytest.mark.parametrize("scenario", ["ring", "early_media"])
def test_a_desk_rings_and_answers(media: MediaProcess, desk: Desk, caller: Desk, scenario: str) -> None:
    before = len(media.calls_of("8001", count=0))
    phone, calling = desk("8002", scenario), caller("desk")
    calling.succeeds()
    phone.succeeds()
    call = media.calls_of("8001", count=before + 1)[-1]
    assert told(call, "opened", "answered", "joined", "ended") == ["opened", "answered", "joined", "ended"]
    assert call.first("answered")["answer_ms"] > 290


def test_a_busy_desk_is_told_of(desk: Desk, caller: Desk) -> None:
    phone, calling = desk("8002", "busy"), caller("refused", status="486")
    calling.succeeds()
    phone.succeeds()


def test_a_caller_who_gives_up_stops_the_ringing(desk: Desk, caller: Desk) -> None:
    phone, calling = desk("8002", "never_mind"), caller("give_up")
    calling.succeeds()
    phone.succeeds()


def test_a_desk_passes_its_call_on(media: MediaProcess, desk: Desk, caller: Desk) -> None:
    before = len(media.calls_of("8001", count=0))
    two, three = desk("8002", "ring"), desk("8003", "desk_hangs_up")
    caller("refer", target="8003", final="200").succeeds()
    three.succeeds()
    two.succeeds()
    call = media.calls_of("8001", count=before + 1)[-1]
    assert (call.first("transferred")["party"], call.first("transferred")["target"]) == ("caller", "8003")


def test_a_desk_that_passes_its_call_on_to_a_busy_one_keeps_it(media: MediaProcess, desk: Desk, caller: Desk) -> None:
    two, three = desk("8002", "ring"), desk("8003", "busy")
    caller("refer_fails", target="8003", final="486").succeeds()
    three.succeeds()
    two.succeeds()
