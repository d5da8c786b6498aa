"""pyVoIP as an extension: it knows MD5 without qop, mu-law of 8-bit audio, and no keys but tones in the audio."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from office_rig import SETTINGS, add_extensions, secret, share_heard

from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess, free_port

CALLER = Path(__file__).with_name("pyvoip_caller.py")
OWN_HOST = "127.0.0.3"
NOTICE_S = 6  # the menu's keys count when the notice is over
MEDIA_SETTINGS = SETTINGS | {
    "HOTLINE_EXTENSIONS__ALGORITHMS": '["SHA-256", "MD5"]',
    "HOTLINE_FLOW__PATH": str(Path(__file__).parents[2] / "ivr/flows/menu.yaml"),
    "HOTLINE_MEDIA__INBAND_DIGITS": "always",  # it agrees to telephone events and has none to send
}


@pytest.fixture(scope="module", autouse=True)
def _extensions(media: MediaProcess) -> None:
    add_extensions(media)


def key(low: int, high: int) -> NDArray[np.int16]:
    """A key pressed for 100 ms (ITU-T Q.23), with as much silence behind it."""
    at = np.arange(800) / 8000
    tone = 6000 * (np.sin(2 * np.pi * low * at) + np.sin(2 * np.pi * high * at))
    return np.concatenate([tone, np.zeros(800)]).astype(np.int16)


def test_an_extension_that_is_pyvoip_signs_in_and_walks_the_menu(
    media: MediaProcess, tmp_path: Path, utterance: NDArray[np.int16]
) -> None:
    pytest.importorskip("pyVoIP", reason="pyVoIP is not installed", exc_type=ImportError)
    said = np.concatenate([np.zeros(NOTICE_S * 8000, np.int16), key(697, 1209), utterance])
    eight_bit = ((said.astype(int) >> 8) + 128).astype(np.uint8)  # all that pyVoIP can say
    audio = tmp_path / "voice.u8"
    audio.write_bytes(eight_bit.tobytes())
    ports = [str(free_port(OWN_HOST)), str(free_port(OWN_HOST, count=12))]
    identity = ["127.0.0.1", str(media.sip_port), "8001", secret("8001"), OWN_HOST]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(CALLER), *identity, *ports, str(audio)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["registered"], ran.stderr[-3000:]
    assert told["answered"], ran.stderr[-3000:]
    assert told["heard"] > 8000
    assert told["loudest"] > 10, "the announcement was heard"
    (call,) = media.calls_of("8001")
    opened, ended = call.first("opened"), call.first("ended")
    assert (opened["peer"], opened["codec"]) == (OWN_HOST, "PCMU")
    assert ended["reason"] == "caller_hangup"
    assert [line["digit"] for line in call.journal if line["kind"] == "digit"] == ["1"]
    assert call.first("demand"), "key 1 leads to the demand"
    stereo = call.channels()
    assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
    as_sent = decode(
        encode(((eight_bit[-len(utterance) :].astype(int) - 128) << 8).astype(np.int16), Law.PCMU), Law.PCMU
    )
    assert share_heard(stereo[:, 0], as_sent) > 0.8, "it sends too slowly, so there are gaps"
