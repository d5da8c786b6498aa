"""People with phones: each speaks with a tone of his own, so what anybody hears tells who is heard."""

import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from desk_phone import DeskPhone
from numpy.typing import NDArray

from demo.g711 import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Law, decode, encode
from demo.media_process import HOST, MediaProcess
from demo.rtp import HEADER, Sender
from demo.sdp import parse
from demo.sip import SipMessage
from ivr.access.extensions import ExtensionFile

CITIZEN, CALLED, SURVEYED, BUSY = "13500000001", "13900000001", "13700000001", "13800000001"
TRUNK = "127.0.0.2"
EXTENSIONS = {"8001": ("operator",), "8002": (), "8003": ("enquiry",), "8009": ()}
"""The queues that each answers."""
TONES_HZ = {  # whole periods in a frame, none of a key or of the music; who is surveyed waits in silence to be asked
    name: 1500 + 200 * place for place, name in enumerate((CITIZEN, CALLED, *EXTENSIONS))
}
RINGING_HZ = 450
LOUDNESS = 6000
HEARD, NOISE = LOUDNESS / 4, 250.0  # an amplitude above the one is heard; an rms above the other is music
WINDOW_S = 0.4
TURN_S = 0.15


def secret(extension: str) -> str:
    """The secret of an extension."""
    return f"a secret of {extension}"


def media_process(folder: Path, **settings: str) -> MediaProcess:
    """One that knows the extensions; callers of the trunk wait for a seat."""
    file = ExtensionFile(folder / "extensions.json", realm="hotline")
    for name, queues in EXTENSIONS.items():
        file.add(name, display_name="", password=secret(name), queues=queues, supervisor=name == "8009")
    return MediaProcess(
        folder,
        HOTLINE_FLOW__PATH=str(Path(__file__).parents[2] / "ivr/flows/queue.yaml"),
        HOTLINE_SIP__ALLOWED_PEERS=f'["{TRUNK}/32"]',
        HOTLINE_EXTENSIONS__NETWORKS='["127.0.0.0/8"]',
        **settings,
    )


def sounds(samples: NDArray[np.int16]) -> set[str]:
    """What is to be heard: people by their tones, `ringing`, and `music` for anything else."""
    found = set()
    rest = samples.astype(np.float64)
    for name, tone_hz in (TONES_HZ | {"ringing": RINGING_HZ}).items():
        wave = np.exp(2j * np.pi * tone_hz * np.arange(len(rest)) / SAMPLE_RATE)
        share = 2 * np.mean(rest * wave.conj())
        if abs(share) > HEARD:
            found.add(name)
            rest = rest - (share * wave).real
    return found | ({"music"} if np.sqrt(np.mean(rest**2)) > NOISE else set())


class Person(DeskPhone):
    """Speaks for as long as a call lasts. `patient`: lets the phone ring until `pick_up`; `refusal`: the status that
    any call gets."""

    def __init__(
        self, media: MediaProcess | None, name: str, secret: str = "", *, host: str = HOST, refusal: str = ""
    ) -> None:
        super().__init__(media, name, secret, host=host)
        self.name = name
        self.patient = False
        self._refusal = refusal
        self._waiting: tuple[SipMessage, tuple[str, int]] | None = None
        self._frames: deque[tuple[float, bytes]] = deque(maxlen=round(WINDOW_S / FRAME_S))
        self._sender: Sender | None = None
        self._target = ("", 0)
        self._gone = threading.Event()
        self._speaking = threading.Thread(target=self._speak)

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    def __enter__(self) -> Self:
        self._speaking.start()
        return super().__enter__()

    def __exit__(self, *of: object) -> None:
        self._gone.set()
        self._speaking.join()
        super().__exit__(*of)

    def call(self, number: str) -> SipMessage:
        answer = super().call(number)
        self._meet(answer.body)
        return answer

    def pick_up(self) -> None:
        """Takes the call that rings, and every later one at once."""
        self.patient = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._take(*waiting)

    def press(self, digit: str) -> None:
        """Presses a key (RFC 4733)."""
        assert self._sender is not None
        assert self._sender.press(digit)

    def hears(self) -> set[str]:
        """What came in lately."""
        since = time.monotonic() - 1.5 * WINDOW_S
        payload = b"".join(frame for at, frame in list(self._frames) if at > since)
        return sounds(decode(payload, Law.PCMA)) if payload else set()

    def _on_invite(self, request: SipMessage, source: tuple[str, int]) -> None:
        if self._refusal:
            self._reply(request, source, self._refusal)
        elif self.patient:
            self._waiting = request, source
            self._reply(request, source, "180 Ringing")
        else:
            self._take(request, source)

    def _on_request(self, request: SipMessage, source: tuple[str, int]) -> None:
        super()._on_request(request, source)
        if request.method == "CANCEL" and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._reply(*waiting, "487 Request Terminated")

    def _take(self, request: SipMessage, source: tuple[str, int]) -> None:
        self._meet(request.body)
        super()._take(request, source)

    def _meet(self, description: bytes) -> None:
        far = parse(description)
        self._frames.clear()
        self._target = far.host, far.port
        self._sender = Sender(Law.PCMA, events=far.events, generator=random.Random())

    def _on_media(self, packet: bytes) -> None:
        super()._on_media(packet)
        if HEADER.unpack_from(packet)[1] & 0x7F == Law.PCMA.value:
            self._frames.append((time.monotonic(), packet[HEADER.size :]))

    def _speak(self) -> None:
        wave = np.sin(2 * np.pi * TONES_HZ.get(self.name, 0) * np.arange(FRAME_SAMPLES) / SAMPLE_RATE)
        frame = encode((LOUDNESS * wave).astype(np.int16), Law.PCMA)
        deadline = time.monotonic()
        while not self._gone.wait(max(0.0, deadline - time.monotonic())):
            deadline += FRAME_S
            sender = self._sender
            if sender is not None and not self.ended.is_set():
                if sender.idle:
                    sender.say(frame)
                self._socket.sendto(sender.next_packet(), self._target)


def expect(expected: Mapping[Person, set[str]], *, seconds: float = 5.0) -> None:
    """Waits until everybody hears what he should, for a whole window."""
    time.sleep(WINDOW_S + TURN_S)
    until = time.monotonic() + seconds
    while (heard := {person.name: person.hears() for person in expected}) != {p.name: s for p, s in expected.items()}:
        assert time.monotonic() < until, f"{heard}, not { ({p.name: s for p, s in expected.items()}) }"
        time.sleep(0.05)
