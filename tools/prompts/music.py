"""Compose the hold music: a calm pentatonic melody over broken chords, 24 s that end where they begin.

    python tools/prompts/music.py ivr/prompts/zh/hold_music.wav

The piece is written for this project and synthesised from sine partials below 2.5 kHz, so that it survives G.711.
"""

import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
BEAT_S = 0.75
BEATS = 32
LEVEL_DBFS = -24.0  # softer than speech
PARTIALS = ((1, 1.0), (2, 0.35), (3, 0.12))  # a soft mallet
# (beat, semitones above middle C, beats): C major pentatonic, so that any overlap is consonant
MELODY = (
    *((0, 16, 2), (2, 19, 1), (3, 21, 1), (4, 19, 3), (8, 16, 2), (10, 14, 1), (11, 12, 1), (12, 14, 3)),
    *(
        (16, 12, 2),
        (18, 14, 1),
        (19, 16, 1),
        (20, 19, 2),
        (22, 21, 2),
        (24, 19, 1),
        (25, 16, 1),
        (26, 14, 2),
        (28, 12, 3),
    ),
)
CHORDS = ((0, 7, 12), (-3, 4, 9), (-7, 0, 9), (-5, 2, 7))  # C, A minor, F, G: two bars of four beats each pair

Audio = NDArray[np.float64]


def note(semitones: int, beats: float) -> Audio:
    """A struck tone that dies away over `beats` and a little more."""
    seconds = beats * BEAT_S * 1.5
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 261.63 * 2 ** (semitones / 12)
    tone = sum(
        weight * np.exp(-time * number * 1.6) * np.sin(2 * np.pi * pitch * number * time) for number, weight in PARTIALS
    )
    attack = np.minimum(time / 0.015, 1)
    release = np.minimum((seconds - time) / 0.08, 1)
    return np.asarray(tone * attack * release)


def compose() -> Audio:
    """The loop: what still sounds at its end is heard at its beginning. Full scale is 1.0."""
    loop = np.zeros(round(BEATS * BEAT_S * RATE))

    def add(beat: float, tone: Audio, gain: float) -> None:
        at = (round(beat * BEAT_S * RATE) + np.arange(len(tone))) % len(loop)
        np.add.at(loop, at, gain * tone)

    for beat, semitones, beats in MELODY:
        add(beat, note(semitones, beats), 1.0)
    for bar in range(BEATS // 4):
        for step, semitones in enumerate((*CHORDS[bar // 2 % 4], CHORDS[bar // 2 % 4][1])):
            add(4 * bar + step, note(semitones, 2), 0.45)
    return loop * 10 ** (LEVEL_DBFS / 20) / np.sqrt((loop**2).mean())


def main() -> None:
    with wave.open(str(Path(sys.argv[1])), "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", ""))
        wav.writeframes(np.round(compose() * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
