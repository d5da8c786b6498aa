"""Where speech begins and ends in one speaker's audio, and a recognizer that is told no more than that. Pure.

Time is the audio's own: milliseconds from the start of the stream. An utterance ends after a silence that is shorter
than most engines wait, and engines without endpoints of their own get them. Between utterances no decoder is open,
which costs neither time nor memory. The bars lie lower than those by which a menu hears that someone speaks: a word
that is missed is lost, noise that is taken for speech only costs the decoder's time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.block_stream import BlockStream
from asr.blocks import BLOCK_MS, BYTES_PER_SAMPLE, bytes_of
from asr.recognizer import (
    Capabilities,
    Final,
    ModelInfo,
    Partial,
    RecognitionEvent,
    RecognitionStream,
    Recognizer,
    shift,
)
from ivr.media.types import FRAME_MS
from ivr.media.vad import FLOOR_MIN_DB, FLOOR_START_DB, ONSET_FRAMES, SPAN_FRAMES, SPANS, level_db

ONSET_DB, KEEP_DB = 6.0, 4.0
BIAS_MS = 200
PRE_ROLL_MS = 500
"""Audio before speech is noticed that belongs to it: soft beginnings, and a decoder's first frames."""


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody began to speak."""

    at_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    """Nobody has spoken since `at_ms`, for as long as an utterance's end takes."""

    at_ms: int


class Endpointing:
    """Finds beginnings and ends of speech in s16le mono audio at `sample_rate` Hz.

    By the rule of `ivr.media.vad`, whose tables over all calls would cost ten times as much for one speaker.
    """

    def __init__(
        self, sample_rate: int, *, silence_ms: int, onset_db: float = ONSET_DB, keep_db: float = KEEP_DB
    ) -> None:
        """`silence_ms`: a longer silence ends an utterance. The bars are above the floor."""
        self.speaking = False
        self._onset_db, self._keep_db = onset_db, keep_db
        self._silence_frames = max(1, silence_ms // FRAME_MS)
        self._frame_samples = bytes_of(FRAME_MS, sample_rate) // BYTES_PER_SAMPLE
        self._held = b""
        self._heard_ms = 0
        self._run = 0  # frames above the floor before speech, below it within
        self._minima = deque([FLOOR_START_DB] * SPANS, maxlen=SPANS)
        self._span_frames = 0

    def accept(self, pcm: bytes) -> list[SpeechStarted | SpeechEnded]:
        """Takes audio of any length; returns what happened in it, in order."""
        pcm = self._held + pcm
        count = len(pcm) // (BYTES_PER_SAMPLE * self._frame_samples)
        frames = np.frombuffer(pcm, "<i2", count * self._frame_samples).reshape(count, self._frame_samples)
        self._held = pcm[frames.nbytes :]
        sounding: list[bool] = np.any(frames, axis=1).tolist()
        events = map(self._hear, level_db(frames).tolist(), sounding)
        return [event for event in events if event is not None]

    def _hear(self, level: float, counts: bool) -> SpeechStarted | SpeechEnded | None:
        self._heard_ms += FRAME_MS
        if counts:  # a lost packet, nothing but zeros, tells nothing about the line's noise
            self._lower_floor(max(level, FLOOR_MIN_DB))
        bar = min(self._minima) + (self._keep_db if self.speaking else self._onset_db)
        loud = level > FLOOR_MIN_DB and level > bar
        self._run = self._run + 1 if loud is not self.speaking else 0
        if self._run < (self._silence_frames if self.speaking else ONSET_FRAMES):
            return None
        at_ms, self._run, self.speaking = self._heard_ms - self._run * FRAME_MS, 0, not self.speaking
        return SpeechStarted(at_ms) if self.speaking else SpeechEnded(at_ms)

    def _lower_floor(self, level: float) -> None:
        if self._span_frames % SPAN_FRAMES == 0:
            self._minima.append(level)
        else:
            self._minima[-1] = min(self._minima[-1], level)
        self._span_frames += 1


class EndpointedRecognizer:
    """`recognizer` with a stream of its own for each utterance, times on the clock of the whole."""

    def __init__(self, recognizer: Recognizer, *, silence_ms: int) -> None:
        self._recognizer = recognizer
        self._silence_ms = silence_ms

    @property
    def capabilities(self) -> Capabilities:
        return self._recognizer.capabilities

    @property
    def model(self) -> ModelInfo:
        return self._recognizer.model

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        if phrases:
            self._recognizer.open_stream(phrases)  # what it does not take is said now, not at the first word
        return EndpointedStream(
            lambda: self._recognizer.open_stream(phrases), self.capabilities.sample_rate, silence_ms=self._silence_ms
        )


class EndpointedStream(BlockStream):
    """Opens a stream when speech begins, with the audio just before, and finishes it when speech ends."""

    def __init__(self, open_stream: Callable[[], RecognitionStream], sample_rate: int, *, silence_ms: int) -> None:
        super().__init__(sample_rate)
        self._open_stream = open_stream
        self._endpointing = Endpointing(sample_rate, silence_ms=silence_ms)
        # No longer than the silence behind a word: nothing is heard twice.
        self._pre_roll_bytes = bytes_of(max(BLOCK_MS, min(PRE_ROLL_MS, silence_ms - BLOCK_MS)), sample_rate)
        self._pre_roll = b""
        self._bytes_per_ms = bytes_of(1, sample_rate)
        self._taken = 0  # bytes
        self._utterance: RecognitionStream | None = None
        self._begin_ms = self._ended_ms = 0
        self._onset_ms: int | None = None
        self._shown = False  # a partial that no final has followed

    def _hear(self, block: bytes) -> list[RecognitionEvent]:
        for change in self._endpointing.accept(block):
            if isinstance(change, SpeechEnded):
                self._ended_ms = change.at_ms
            elif self._utterance is None:
                self._onset_ms = change.at_ms
        self._pre_roll = (self._pre_roll + block)[-self._pre_roll_bytes :]
        self._taken += len(block)
        speaking, events = self._endpointing.speaking, []
        if self._utterance is not None:
            events = self._place(self._utterance.accept(block))
            if not speaking:
                events += self._end(self._ended_ms)
        elif speaking:
            self._shown = False
            self._begin_ms = (self._taken - len(self._pre_roll)) // self._bytes_per_ms
            self._utterance = self._open_stream()
            events = self._place(self._utterance.accept(self._pre_roll))
        return events

    def _end(self, ended_ms: int | None = None) -> list[RecognitionEvent]:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return []
        events = self._place(utterance.finish(), ended_ms)
        return [*events, Partial("")] if self._shown else events  # what seemed to be said was nothing

    def _place(self, events: list[RecognitionEvent], ended_ms: int | None = None) -> list[RecognitionEvent]:
        """The utterance's events on the clock of the whole, its edges where speech began and (if known) ended."""
        placed: list[RecognitionEvent] = []
        for event in events:
            self._shown = isinstance(event, Partial)
            if isinstance(event, Final):
                event = fit(shift(event, self._begin_ms), self._onset_ms, ended_ms)
                self._onset_ms = None  # of the first only
            placed.append(event)
        return placed


def fit(final: Final, start_ms: int | None, end_ms: int | None) -> Final:
    """`final` with its edges moved to where the audio has them, and the words between in proportion.

    Models tell times with a bias of their own, the bundled one some 80 ms early. An edge that lies further off than
    `BIAS_MS` is not this utterance's; one that is not known has the bias of the other.
    """
    begin, end = final.start_ms, final.end_ms
    at_start = 0 if start_ms is None or abs(start_ms - begin) > BIAS_MS else start_ms - begin
    at_end = at_start if end_ms is None or abs(end_ms - end) > BIAS_MS else end_ms - end
    if end - begin < 2 * BIAS_MS:  # too short to be stretched
        at_end = at_start

    def move(at: int) -> int:
        return max(0, at + at_start + (at_end - at_start) * (at - begin) // max(1, end - begin))

    return Final(tuple(replace(word, start_ms=move(word.start_ms), end_ms=move(word.end_ms)) for word in final.words))
