"""Keypad digits that we press, one at a time: RFC 4733 events or, where none were agreed, tones within the audio."""

from collections import deque
from dataclasses import dataclass

from ivr.media import tones
from ivr.media.dtmf import event_payloads
from ivr.media.types import FRAME_SAMPLES, Samples

TONE_MS = 100
PAUSE_TICKS = 5
"""100 ms of audio between two digits, so that nobody hears them as one (ITU-T Q.24 wants 40)."""


@dataclass(frozen=True)
class EventPacket:
    """One packet of an event, which all carry the `position` at which it began."""

    marker: bool
    payload: bytes
    position: int


class DigitSender:
    """The digits of one leg that are still to be sent; true while there are any."""

    def __init__(self) -> None:
        self._digits: deque[str] = deque()
        self._steps: deque[EventPacket | Samples] = deque()
        self._pause = 0

    def __bool__(self) -> bool:
        return bool(self._digits or self._steps)

    def add(self, digits: str) -> None:
        """Sends `digits`, all of `dtmf.DIGITS`, after those still waiting."""
        self._digits.extend(digits)

    def step(self, position: int, *, events: bool) -> EventPacket | Samples | None:
        """What is sent in this tick in place of audio: an event packet, a frame of tone, or nothing in a pause.

        `events`: whether the far end takes RFC 4733; a digit is finished as it was begun.
        """
        if not self._steps:
            if self._pause > 0 or not self._digits:
                self._pause -= 1
                return None
            digit = self._digits.popleft()
            self._pause = PAUSE_TICKS
            if events:
                self._steps.extend(EventPacket(*told, position) for told in event_payloads(digit, duration_ms=TONE_MS))
            else:
                self._steps.extend(tones.dtmf(digit, tone_ms=TONE_MS, pause_ms=0).reshape(-1, FRAME_SAMPLES))
        return self._steps.popleft()
