"""A hotline with extensions for the real agents: a trunk at 127.0.0.2, phones at any other loopback address."""

import json

import numpy as np
from numpy.typing import NDArray

from demo.media_process import MediaProcess
from ivr.access.extensions import ExtensionFile

TRUNK = "127.0.0.2"
PIECE = 400  # samples
EXTENSIONS = ("8001", "8002", "8003", "8004")
SETTINGS = {
    "HOTLINE_SIP__ALLOWED_PEERS": json.dumps([f"{TRUNK}/32"]),
    "HOTLINE_EXTENSIONS__NETWORKS": '["127.0.0.0/8"]',
    "HOTLINE_EXTENSIONS__ALGORITHMS": '["MD5"]',  # SIPp 3.6 and baresip 1.0 stop at a challenge for SHA-256
    "HOTLINE_DIAL_PLAN__FROM_TRUNK": '["12345"]',
    "HOTLINE_DIAL_PLAN__BETWEEN_EXTENSIONS": "true",
}


def secret(extension: str) -> str:
    """The secret of an extension."""
    return f"a secret of {extension}"


def add_extensions(media: MediaProcess) -> None:
    """While the process runs: it reads the file when it needs it."""
    file = ExtensionFile(media.data_dir / "extensions.json", realm="hotline")
    for name in EXTENSIONS:
        file.add(name, display_name=f"{name} 座席", password=secret(name))


def share_heard(heard: NDArray[np.int16], said: NDArray[np.int16]) -> float:
    """The share of what was said that was heard unchanged, counted in pieces of 50 ms, wherever each of them is."""
    everything = heard.tobytes()
    pieces = [said[at : at + PIECE].tobytes() for at in range(0, len(said) - PIECE + 1, PIECE)]
    return sum(piece in everything for piece in pieces) / len(pieces)
