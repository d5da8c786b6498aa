import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.compare import caller_channel_matches
from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess, free_port

CALLER_HOST = "127.0.0.2"
SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="a caller with a recorded voice">
  <send retrans="500"><![CDATA[
    INVITE sip:12345@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
    To: <sip:12345@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:{caller}@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[media_ip_type] [media_ip]
    t=0 0
    m=audio [rtpstream_audio_port] RTP/AVP {payload}
    a=rtpmap:{payload} {codec}/8000
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
    ACK [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
    [last_To:]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <nop><action><exec rtp_stream="{audio},1,{payload},{codec}/8000"/></action></nop>
  <pause milliseconds="5000"/>
  <send retrans="500"><![CDATA[
    BYE [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
    [last_To:]
    Call-ID: [call_id]
    CSeq: 2 BYE
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"""


@pytest.mark.parametrize(("law", "caller"), [(Law.PCMA, "13900000008"), (Law.PCMU, "13900000000")])
def test_a_call_of_sipp_is_recorded_sample_by_sample(
    media: MediaProcess,
    program: Callable[[str, str], str],
    tmp_path: Path,
    utterance: NDArray[np.int16],
    law: Law,
    caller: str,
) -> None:
    sipp = program("sipp", "sip-tester")
    payload = encode(utterance, law)
    audio = tmp_path / "voice.raw"
    audio.write_bytes(payload)
    scenario = tmp_path / "caller.xml"
    scenario.write_text(SCENARIO.format(caller=caller, payload=law.value, codec=law.name, audio=audio))
    before = len(media.calls())
    options = ["-sf", str(scenario), "-m", "1", "-nostdin", "-timeout", "20s", "-timeout_error"]
    addresses = ["-i", CALLER_HOST, "-p", str(free_port(CALLER_HOST)), "-mi", CALLER_HOST]
    ran = subprocess.run(
        [sipp, f"127.0.0.1:{media.sip_port}", *options, *addresses],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    call = next(c for c in media.wait_for_calls(before + 1) if c.first("opened")["caller"] == caller)
    opened, ended = call.first("opened"), call.first("ended")
    assert (opened["called"], opened["peer"], opened["codec"]) == ("12345", CALLER_HOST, law.name)
    assert ended["reason"] == "caller_hangup"
    stereo = call.channels()
    assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
    assert 4900 < ended["duration_ms"] < 6500
    assert caller_channel_matches(stereo[:, 0], decode(payload, law)).exact
    assert np.abs(stereo[:, 1]).max() > 3000, "the announcement is on our side's channel"
