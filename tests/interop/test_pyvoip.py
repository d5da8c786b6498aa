import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.compare import caller_channel_matches
from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess, free_port

CALLER = Path(__file__).with_name("pyvoip_caller.py")
OWN_HOST = "127.0.0.3"


def test_a_call_of_pyvoip_is_answered_and_recorded(
    media: MediaProcess, tmp_path: Path, utterance: NDArray[np.int16]
) -> None:
    pytest.importorskip("pyVoIP", reason="pyVoIP is not installed", exc_type=ImportError)
    eight_bit = ((utterance.astype(int) >> 8) + 128).astype(np.uint8)  # all that pyVoIP can say
    audio = tmp_path / "voice.u8"
    audio.write_bytes(eight_bit.tobytes())
    ports = [str(free_port(OWN_HOST)), str(free_port(OWN_HOST, count=2))]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(CALLER), "127.0.0.1", str(media.sip_port), OWN_HOST, *ports, str(audio)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert ran.stdout, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["answered"], ran.stderr[-3000:]
    assert told["heard"] > 8000
    assert told["loudest"] > 10, "the announcement was heard"
    call = media.wait_for_calls(1)[-1]
    opened, ended = call.first("opened"), call.first("ended")
    assert (opened["caller"], opened["peer"], opened["codec"]) == ("13600000001", OWN_HOST, "PCMU")
    assert ended["reason"] == "caller_hangup"
    stereo = call.channels()
    assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
    as_sent = decode(encode(((eight_bit.astype(int) - 128) << 8).astype(np.int16), Law.PCMU), Law.PCMU)
    match = caller_channel_matches(stereo[:, 0], as_sent)
    assert match.ratio > 0.95, match
