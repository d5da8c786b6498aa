"""Make prompts of raw recordings: mono, 8 kHz, 16 bit, silence trimmed, one loudness; then check the whole set.

    python tools/prompts/finish.py ivr/prompts/zh/prompts.tsv raw/ ivr/prompts/zh/

The raw WAV files (16 bit, any rate, mono or stereo, named after the first column) come from an announcer or from
`speak.py`. Rows whose spoken form is "-" are tones and made here, "♪" is music (`music.py`). A prompt that has no raw
file keeps the one it has.
"""

import argparse
import csv
import sys
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from hotline.errors import HotlineError
from ivr.announcements.audio import finish, to_samples
from ivr.announcements.prompts import PROMPT_LIST, PromptLibrary

RATE = 8000
FADE = round(0.008 * RATE)
TONE_HZ, TONE_S = 880.0, 0.25

Audio = NDArray[np.float64]


def read(path: Path) -> Audio:
    """A 16-bit WAV file as mono at 8 kHz, full scale 1.0."""
    with wave.open(str(path), "rb") as wav:
        if wav.getsampwidth() != 2:
            raise SystemExit(f"{path}: {8 * wav.getsampwidth()} bits a sample, 16 needed")
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(float) / 32768
        mono = samples.reshape(-1, wav.getnchannels()).mean(axis=1)
        return np.asarray(soxr.resample(mono, wav.getframerate(), RATE, quality="VHQ"), float)


def tone() -> Audio:
    """The signal after which one may speak."""
    wave_form = np.sin(2 * np.pi * TONE_HZ * np.arange(round(TONE_S * RATE)) / RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, 4 * FADE)) ** 2
    wave_form[: len(ramp)] *= ramp
    wave_form[-len(ramp) :] *= ramp[::-1]
    return np.asarray(wave_form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with open(arguments.prompts, encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            raw = arguments.raw / f"{row['name']}.wav"
            if row["spoken"] != "-" and not raw.is_file():
                continue
            audio = finish(tone() if row["spoken"] == "-" else read(raw))
            with wave.open(str(arguments.out / f"{row['name']}.wav"), "wb") as wav:
                wav.setparams((1, 2, RATE, 0, "NONE", ""))
                wav.writeframes(to_samples(audio).astype("<i2").tobytes())
    listed = arguments.out / PROMPT_LIST
    if not listed.exists() or not listed.samefile(arguments.prompts):
        listed.write_bytes(arguments.prompts.read_bytes())
    try:
        library = PromptLibrary.load(arguments.out)
    except HotlineError as error:
        sys.exit(str(error))
    for name in library.names:
        sys.stdout.write(f"{len(library.samples(name)) / RATE:6.2f} s  {name}\n")


if __name__ == "__main__":
    main()
