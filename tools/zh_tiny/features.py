"""Training data: spoken utterances, made to sound like telephone calls of many voices, as features and phone labels.

    python -m zh_tiny.features SPEECH_DIR OUT_DIR [--kind mfcc|fbank] [--copies 5]

`mfcc` is what Vosk computes for this model (8 kHz, 40 cepstra), `fbank` what sherpa-onnx computes for any (16 kHz,
80 bins). Each copy is one file `KIND.N.npz`; copies that exist are kept.
"""

import argparse
import json
import random
import time
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter

from .phones import HALVES, PHONE_INDEX, SILENCE

Audio = NDArray[np.float32]
SPEECH_RATE, PHONE_RATE = 16_000, 8_000
FRAME_S = 0.01
VOICE_FRAME_S = 0.0125
FULL_SCALE = 32768.0
DEVELOPMENT = 60
"""Utterances that training only looks at to tell how it goes."""


@dataclass(frozen=True)
class Utterance:
    """Its phones end at `ends` (seconds); `characters` are the character spoken in each phone, "" in silence."""

    name: str
    samples: NDArray[np.int16]
    phones: tuple[str, ...]
    characters: tuple[str, ...]
    ends: NDArray[np.float64]


def read_wav(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path), "rb") as wav:
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2")


def join_phones(symbols: Iterable[str], frames: Iterable[int]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The voice's symbols as phones and their ends (seconds); a boundary mark (#0) belongs to the phone before.

    Finals are cut in the middle: their halves are phones.
    """
    spans: list[tuple[str, int, int]] = []
    at = 0
    for symbol, length in zip(symbols, frames, strict=True):
        start, at = at, at + length
        if symbol.startswith("#") and spans:
            spans[-1] = (spans[-1][0], spans[-1][1], at)
        else:
            spans.append((symbol, start, at))
    phones: list[str] = []
    ends: list[float] = []
    for symbol, start, end in spans:
        if symbol + HALVES[0] in PHONE_INDEX:
            phones += [symbol + half for half in HALVES]
            ends += [(start + end) / 2 * VOICE_FRAME_S, end * VOICE_FRAME_S]
        else:
            phones.append(symbol if symbol in PHONE_INDEX else SILENCE)
            ends.append(end * VOICE_FRAME_S)
    return tuple(phones), np.array(ends)


def spread_characters(text: str, phones: tuple[str, ...]) -> tuple[str, ...]:
    """The character of each phone: three phones a character. All empty where that fails (er-coloured syllables)."""
    spoken = [index for index, phone in enumerate(phones) if phone != SILENCE]
    han = [character for character in text if "\u4e00" <= character <= "\u9fa5"]
    characters = [""] * len(phones)
    if len(spoken) == 3 * len(han):
        for position, index in enumerate(spoken):
            characters[index] = han[position // 3]
    return tuple(characters)


def read_speech(folder: Path) -> list[Utterance]:
    utterances = []
    with (folder / "phones.jsonl").open(encoding="utf-8") as rows:
        for line in rows:
            row = json.loads(line)
            phones, ends = join_phones(row["phones"], row["frames"])
            characters = spread_characters(row["text"], phones)
            utterances.append(Utterance(row["name"], read_wav(folder / f"{row['name']}.wav"), phones, characters, ends))
    random.Random(3).shuffle(utterances)
    return utterances


def a_law(samples: Audio) -> Audio:
    """Through G.711 A-law and back, by its formula."""
    scale = 1 + np.log(87.6)
    level = np.clip(np.abs(samples) / FULL_SCALE, 0, 1)
    pressed = np.where(level < 1 / 87.6, 87.6 * level / scale, (1 + np.log(np.maximum(level, 1e-9) * 87.6)) / scale)
    coarse = (np.floor(np.clip(pressed, 0, 0.99999) * 128) + 0.5) / 128
    opened = np.where(coarse < 1 / scale, coarse * scale / 87.6, np.exp(coarse * scale - 1) / 87.6)
    return np.asarray(np.sign(samples) * opened * FULL_SCALE, np.float32)


@dataclass(frozen=True)
class Disguise:
    """What is done to an utterance: a factor on speed, pitch and formants, silence around it, and a telephone line."""

    factor: float
    lead_s: float
    tail_s: float

    @classmethod
    def draw(cls, rng: random.Random) -> "Disguise":
        factor = rng.choice((rng.uniform(0.72, 1.0), rng.uniform(0.9, 1.1), rng.uniform(0.95, 1.3)))
        return cls(factor, rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.5))

    def apply(self, samples: NDArray[np.int16], rng: random.Random) -> Audio:
        """Audio at 8 kHz, whole numbers of 16-bit scale."""
        noise = np.random.default_rng(rng.getrandbits(32))
        audio = soxr.resample(samples.astype(np.float32) / FULL_SCALE, SPEECH_RATE * self.factor, PHONE_RATE)
        audio = np.pad(audio, (round(self.lead_s * PHONE_RATE), round(self.tail_s * PHONE_RATE)))
        if rng.random() < 0.3:
            audio = _reverberate(audio, rng, noise)
        if rng.random() < 0.4:
            audio = lfilter([1, -rng.uniform(-0.5, 0.6)], [1], audio)
        if rng.random() < 0.5:
            band = (rng.uniform(100, 300), rng.uniform(3200, 3700))
            audio = lfilter(*butter(2, band, "bandpass", fs=PHONE_RATE), audio)
        audio = audio / max(float(np.abs(audio).max()), 1e-6) * 10 ** (-rng.uniform(1, 20) / 20)
        hiss = noise.normal(size=len(audio))
        if rng.random() < 0.4:
            hiss = lfilter([1], [1, -rng.uniform(0.5, 0.97)], hiss)
        loudness = np.sqrt(np.mean(audio**2) / np.mean(hiss**2))
        audio = audio + hiss * loudness * 10 ** (-rng.uniform(8, 45) / 20)
        audio = np.clip(audio * FULL_SCALE, -32767, 32767).astype(np.float32)
        return np.round(a_law(audio) if rng.random() < 0.7 else audio)

    def label_times(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where in the plain utterance (seconds) a moment of the disguised one lies."""
        return (times - self.lead_s) * self.factor


def _reverberate(audio: Audio, rng: random.Random, noise: np.random.Generator) -> Audio:
    length = round(rng.uniform(0.05, 0.3) * PHONE_RATE)
    response = noise.normal(size=length) * np.exp(-6.9 * np.arange(length) / length) * rng.uniform(0.02, 0.12)
    response[0] = 1
    return np.asarray(fftconvolve(audio, response)[: len(audio)], np.float32)


class Mfcc:
    """As `conf/mfcc.conf` of the model: 8 kHz, 40 bins, 40 cepstra, no dither. Frame n is centred at 12.5 + 10 n ms."""

    dimension = 40
    first_centre_s = 0.0125
    step = 3

    def __init__(self) -> None:
        options = knf.MfccOptions()
        options.frame_opts.samp_freq = PHONE_RATE
        options.frame_opts.dither = 0
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = self.dimension
        options.mel_opts.low_freq = 40
        options.mel_opts.high_freq = -200
        options.num_ceps = self.dimension
        options.use_energy = False
        self._options = options

    def __call__(self, audio: Audio) -> NDArray[np.float32]:
        computer = knf.OnlineMfcc(self._options)
        computer.accept_waveform(PHONE_RATE, audio.tolist())
        computer.input_finished()
        return _frames(computer)


class Fbank:
    """As sherpa-onnx computes: 16 kHz, 80 bins, full scale 1.0. Frame n is centred at 5 + 10 n ms."""

    dimension = 80
    first_centre_s = 0.005
    step = 4

    def __init__(self) -> None:
        options = knf.FbankOptions()
        options.frame_opts.samp_freq = SPEECH_RATE
        options.frame_opts.dither = 0
        options.frame_opts.snip_edges = False
        options.mel_opts.num_bins = self.dimension
        options.mel_opts.high_freq = -400
        self._options = options

    def __call__(self, audio: Audio) -> NDArray[np.float32]:
        computer = knf.OnlineFbank(self._options)
        computer.accept_waveform(SPEECH_RATE, (soxr.resample(audio, PHONE_RATE, SPEECH_RATE) / FULL_SCALE).tolist())
        computer.input_finished()
        return _frames(computer)


def _frames(computer: knf.OnlineMfcc | knf.OnlineFbank) -> NDArray[np.float32]:
    return np.stack([computer.get_frame(index) for index in range(computer.num_frames_ready)]).astype(np.float32)


FEATURES = {"mfcc": Mfcc, "fbank": Fbank}


def phone_labels(utterance: Utterance, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The phone spoken at each time."""
    indexes = np.array([PHONE_INDEX[phone] for phone in utterance.phones] + [0])
    return np.where(times < 0, 0, indexes[np.searchsorted(utterance.ends, np.maximum(times, 0), side="right")])


def character_labels(utterance: Utterance, times: NDArray[np.float64], step_s: float) -> list[str]:
    """CTC targets by time: a character at the middle of its final, "" (blank) elsewhere.

    One label a character however fast it is spoken, and a blank between two equal ones.
    """
    labels = [""] * len(times)
    for phone, character, end in zip(utterance.phones, utterance.characters, utterance.ends, strict=True):
        if character and phone.endswith(HALVES[0]):
            at = int(np.searchsorted(times, end - step_s / 2))
            if at < len(labels):
                labels[at] = character
    return labels


def make_copy(
    utterances: list[Utterance], kind: str, seed: int
) -> tuple[NDArray[np.float16], NDArray[np.int16], NDArray[np.str_], NDArray[np.int64]]:
    """Features of all utterances behind each other, a phone and a character label each `step` frames, and where each
    utterance begins (in labels)."""
    compute = FEATURES[kind]()
    rng = random.Random(seed)
    features, phones, characters, starts = [], [], [], [0]
    for utterance in utterances:
        disguise = Disguise.draw(rng)
        frames = compute(disguise.apply(utterance.samples, rng))
        frames = frames[: len(frames) // compute.step * compute.step]
        times = compute.first_centre_s + FRAME_S * np.arange(0, len(frames), compute.step)
        times = disguise.label_times(times)
        features.append(frames.astype(np.float16))
        phones.append(phone_labels(utterance, times).astype(np.int16))
        characters += character_labels(utterance, times, compute.step * FRAME_S * disguise.factor)
        starts.append(starts[-1] + len(times))
    return np.concatenate(features), np.concatenate(phones), np.array(characters, "<U1"), np.array(starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", choices=sorted(FEATURES), default="mfcc")
    parser.add_argument("--copies", type=int, default=5)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    utterances = read_speech(arguments.speech)
    for number in range(arguments.copies):
        path = arguments.out / f"{arguments.kind}.{number}.npz"
        if path.exists():
            continue
        began = time.monotonic()
        features, phones, characters, starts = make_copy(utterances[DEVELOPMENT:], arguments.kind, seed=number)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, features=features, phones=phones, characters=characters, starts=starts)
        partial.rename(path)
        print(f"{path.name}: {len(features) * FRAME_S / 3600:.2f} h in {time.monotonic() - began:.0f} s", flush=True)
    path = arguments.out / f"{arguments.kind}.development.npz"
    if not path.exists():
        features, phones, characters, starts = make_copy(utterances[:DEVELOPMENT], arguments.kind, seed=99)
        np.savez(path, features=features, phones=phones, characters=characters, starts=starts)


if __name__ == "__main__":
    main()
