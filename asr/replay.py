"""The audio of a caption stream between the call and the recognizer, kept until its words are final. Pure.

A recognizer that dies takes the unfinished utterance with it; the audio since the last final is here to be told again.
Positions are bytes since the stream's start. One thread feeds, another takes; a lock keeps them apart.
"""

import threading

from asr.blocks import bytes_of
from asr.recognizer import Final, RecognitionEvent, shift

SILENCE_KEPT_MS = 2_000  # a word may have begun before an engine's first partial shows it
MAX_UTTERANCE_MS = 60_000


class ReplayBuffer:
    """Holds at most `max_lag_ms` of audio the recognizer has not heard; beyond it all goes and `complete` ends."""

    def __init__(self, *, max_lag_ms: int, sample_rate: int) -> None:
        self._bytes_per_ms = bytes_of(1, sample_rate)
        self._lock = threading.Lock()
        self._audio = bytearray()
        self._base = 0  # position of the first byte held
        self._sent = 0
        self._heard = 0  # furthest position the recognizer has answered for, over all connections
        self._origin = 0  # position where the present connection began
        self._max_lag = max_lag_ms * self._bytes_per_ms
        self._torn = False  # the unfinished utterance is longer than we keep
        self.complete = True
        self.interrupted = False

    def feed(self, pcm: bytes) -> int:
        """Adds audio; returns how many bytes wait to be taken."""
        with self._lock:
            self._audio += pcm
            end = self._base + len(self._audio)
            if end - self._heard > self._max_lag:
                self._audio.clear()
                self._base = self._sent = self._heard = end
                self.complete = False
                self.interrupted = True
            elif len(self._audio) > MAX_UTTERANCE_MS * self._bytes_per_ms:
                self._drop_until(end - MAX_UTTERANCE_MS * self._bytes_per_ms)
                self._torn = True
            return end - self._sent

    @property
    def behind_ms(self) -> int:
        """How much audio the recognizer has not answered for."""
        with self._lock:
            return (self._base + len(self._audio) - self._heard) // self._bytes_per_ms

    @property
    def sent(self) -> int:
        """Position of the next byte to be taken."""
        return self._sent

    def rewind(self) -> None:
        """A new connection begins: everything held is to be told again."""
        with self._lock:
            if self._torn:
                self.complete = False
            self._origin = self._sent = self._base
            self.interrupted = False

    def take(self, size: int, *, rest: bool = False) -> bytes:
        """The next `size` bytes, or nothing where there are fewer; with `rest` also the last few."""
        with self._lock:
            begin = self._sent - self._base
            piece = bytes(self._audio[begin : begin + size])
            if len(piece) < size and not rest:
                return b""
            self._sent += len(piece)
            return piece

    def answered(self, event: RecognitionEvent | None) -> RecognitionEvent | None:
        """The recognizer heard all that was taken and answered `event`; returns it on the stream's clock.

        Audio whose words are final is let go. It is kept from the end of the last word, not from where the engine
        noticed the pause, because engines answer ahead of the audio they have decoded.
        """
        with self._lock:
            if not self.interrupted:
                self._heard = max(self._heard, self._sent)
            if event is None:
                self._settle(self._sent - SILENCE_KEPT_MS * self._bytes_per_ms)
            elif isinstance(event, Final):
                event = shift(event, self._origin // self._bytes_per_ms)
                self._settle(event.end_ms * self._bytes_per_ms)
            return event

    def _settle(self, position: int) -> None:
        self._drop_until(position)
        self._torn = False

    def _drop_until(self, position: int) -> None:
        position = min(position, self._sent)
        if position > self._base:
            del self._audio[: position - self._base]
            self._base = position
