"""SIP and RTP over IPv6: SIPp at [::1] calls as a trunk and as a phone, and is rung."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from carrier_rig import SECRET, USER, Carrier, asks_first, is_signed
from numpy.typing import NDArray
from office_rig import SETTINGS, add_extensions, secret
from sipp_rig import Sipp

from demo.compare import caller_channel_matches
from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess, free_port
from hotline.bus import MemoryBus
from hotline.probes import probe
from hotline.settings import Settings
from hotline.settings_sections import SipSettings

HOST = "::1"
Start = Callable[..., Sipp]


@pytest.fixture
def sipp(program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Start]:
    """Starts SIPp in a scenario; what still runs at the end of the test is stopped."""
    name = program("sipp", "sip-tester")
    started: list[Sipp] = []

    def start(media: MediaProcess, scenario: str, **more: Any) -> Sipp:
        started.append(Sipp(name, scenario, media.address, tmp_path / str(len(started)), host=HOST, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_trunk_calls_and_is_recorded_sample_by_sample(
    tmp_path: Path, sipp: Start, utterance: NDArray[np.int16]
) -> None:
    voice = tmp_path / "voice.raw"
    voice.write_bytes(encode(utterance, Law.PCMA))
    keys = {"caller": "13900000006", "payload": "8", "codec": "PCMA", "voice": str(voice), "milliseconds": "5000"}
    settings = {"HOTLINE_SIP__ADDRESS": "::", "HOTLINE_SIP__ALLOWED_PEERS": '["::1/128"]'}
    with MediaProcess(tmp_path / "media", host=HOST, **settings) as media:
        sipp(media, "basic", keys=keys).succeeds()
        (call,) = media.calls_of("13900000006")
    assert call.first("ended")["reason"] == "caller_hangup"
    assert caller_channel_matches(call.channels()[:, 0], decode(encode(utterance, Law.PCMA), Law.PCMA)).exact


def test_a_carrier_is_registered_with(tmp_path: Path) -> None:
    with closing(Carrier(HOST, asks_first)) as carrier:
        trunk = {"name": "six", "domain": "six.example", "servers": [carrier.address]}
        settings = {"HOTLINE_TRUNKS": json.dumps([trunk | {"username": USER, "password": SECRET}])}
        with MediaProcess(tmp_path / "media", host=HOST, **settings) as media:
            signed = carrier.wait("REGISTER", 2)[1]
            carrier.wait("OPTIONS", 1)
            assert is_signed(signed)
            assert signed.header("contact") == f"<sip:{USER}@[::1]:{media.sip_port}>;expires=600"


def test_desks_call_us_and_each_other_and_the_health_check_is_answered(tmp_path: Path, sipp: Start) -> None:
    settings = SETTINGS | {
        "HOTLINE_SIP__ALLOWED_PEERS": '["2001:db8::/32"]',
        "HOTLINE_EXTENSIONS__NETWORKS": '["::1/128"]',
    }
    with MediaProcess(tmp_path / "media", host=HOST, **settings) as media:
        add_extensions(media)
        with closing(MemoryBus()) as bus:
            probe("media", Settings(sip=SipSettings(address=HOST, port=media.sip_port)), bus)
        sipp(media, "extension", keys={"caller": "8001"}, secret=secret("8001")).succeeds()
        port = free_port(HOST)
        for name, desk_port in (("8001", "9"), ("8002", str(port))):
            sipp(media, "register", keys={"caller": name, "desk_port": desk_port}, secret=secret(name)).succeeds()
        desk = sipp(media, "ring", keys={"caller": "8002"}, port=port)
        sipp(media, "desk", keys={"caller": "8001"}, service="8002", secret=secret("8001")).succeeds()
        desk.succeeds()
        to_us, to_desk = media.calls_of("8001", count=2)
    assert to_us.first("opened")["called"] == "12345"
    assert to_desk.first("joined")["party"] == "8002"
