import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.compare import caller_channel_matches
from demo.media_process import MediaProcess, free_port
from demo.phone import write_audio

HOST = "127.0.0.1"
MODULES = Path("/usr/lib/baresip/modules")
CONFIG = """sip_listen {host}:{sip_port}
audio_player aufile,{heard}
audio_source aufile,{voice}
audio_alert aufile,/dev/null
audio_srate 8000-8000
audio_channels 1-1
rtp_ports {rtp_port}-{rtp_port_end}
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
"""


def test_a_call_of_baresip_is_recorded_and_hears_the_announcement(
    media: MediaProcess, program: Callable[[str, str], str], tmp_path: Path, utterance: NDArray[np.int16]
) -> None:
    baresip = program("baresip", "baresip-core")
    if not (MODULES / "aufile.so").is_file():
        pytest.skip(f"no baresip modules in {MODULES} (Debian package baresip-core)")
    voice, heard = tmp_path / "voice.wav", tmp_path / "heard.wav"
    write_audio(voice, utterance)
    sip_port, rtp_port = free_port(), free_port(count=12)
    settings = {"host": HOST, "sip_port": sip_port, "rtp_port": rtp_port, "rtp_port_end": rtp_port + 10}
    (tmp_path / "config").write_text(CONFIG.format(voice=voice, heard=heard, modules=MODULES, **settings))
    (tmp_path / "accounts").write_text(f"<sip:13700000001@{HOST}:{sip_port}>;regint=0;audio_codecs=PCMA\n")
    (tmp_path / "contacts").write_text("")
    dial = f"/dial sip:12345@{HOST}:{media.sip_port}"
    ran = subprocess.run(
        [baresip, "-f", str(tmp_path), "-e", dial, "-t", "6"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert "Call established" in ran.stdout + ran.stderr, ran.stdout[-3000:] + ran.stderr[-3000:]
    call = media.wait_for_calls(1)[-1]
    opened, ended = call.first("opened"), call.first("ended")
    assert (opened["caller"], opened["called"], opened["codec"]) == ("13700000001", "12345", "PCMA")
    assert ended["reason"] == "caller_hangup"
    stereo = call.channels()
    assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
    match = caller_channel_matches(stereo[:, 0], utterance)
    assert match.exact, match
    assert np.abs(stereo[:, 1]).max() > 3000
