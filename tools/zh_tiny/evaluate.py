"""Character error rate, whole sentences right, numbers right and real-time factor of a Vosk model, as on the telephone.

    python -m zh_tiny.evaluate MODEL_DIR SPEECH_DIR... [--show]

A directory holds WAV files and either `phones.jsonl` (of `synthesis.py`) or a TSV of name and text. Every file goes
through G.711 A-law at 8 kHz, with a quiet hiss, in blocks of 20 ms. 幺 counts as 一.
"""

import argparse
import csv
import json
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import vosk

from .corpus import characters
from .features import PHONE_RATE, a_law, read_wav
from .spoken import DIGIT_CHARACTERS, DIGITS, YAO

BLOCK = 160
LEVEL = 0.5
HISS = 8.0
LEAD_S, TAIL_S = 0.3, 0.5
MOBILE_DIGITS = 11


def edit_distance(reference: str, heard: str) -> int:
    row = list(range(len(heard) + 1))
    for index, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], index
        for at, got in enumerate(heard, 1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (expected != got))
    return row[-1]


def unify(text: str) -> str:
    return characters(text).replace(YAO, "一")


def digits_of(text: str) -> str:
    """The figures in a text, so that a number counts as right whatever is said around it."""
    return "".join(str(DIGITS.index(character)) for character in unify(text) if character in DIGIT_CHARACTERS)


def references(folder: Path) -> Iterator[tuple[Path, str]]:
    index = folder / "phones.jsonl"
    if index.exists():
        with index.open(encoding="utf-8") as rows:
            for row in map(json.loads, rows):
                yield folder / f"{row['name']}.wav", row["text"]
        return
    for table in folder.glob("*.tsv"):
        with table.open(encoding="utf-8", newline="") as handle:
            for fields in csv.reader(handle, delimiter="\t"):
                if len(fields) > 1 and (folder / f"{fields[0]}.wav").exists():
                    yield folder / f"{fields[0]}.wav", fields[1]


def wav_rate(path: Path) -> int:
    with wave.open(str(path), "rb") as wav:
        return wav.getframerate()


def telephone(path: Path) -> bytes:
    """A file as a caller's 8 kHz audio."""
    rate = wav_rate(path)
    audio = read_wav(path).astype(np.float32) * (LEVEL if rate != PHONE_RATE else 1.0)
    audio = soxr.resample(audio, rate, PHONE_RATE)
    audio = np.pad(audio, (round(LEAD_S * PHONE_RATE), round(TAIL_S * PHONE_RATE)))
    audio = audio + np.random.default_rng(0).normal(size=len(audio)).astype(np.float32) * HISS
    return a_law(np.clip(audio, -32767, 32767).astype(np.float32)).astype("<i2").tobytes()


def recognise(model: vosk.Model, pcm: bytes) -> str:
    recognizer = vosk.KaldiRecognizer(model, PHONE_RATE)
    recognizer.SetWords(True)
    texts = []
    for at in range(0, len(pcm), 2 * BLOCK):
        if recognizer.AcceptWaveform(pcm[at : at + 2 * BLOCK]):
            texts.append(json.loads(recognizer.Result())["text"])
    texts.append(json.loads(recognizer.FinalResult())["text"])
    return "".join(texts).replace(" ", "")


@dataclass
class Score:
    utterances: int = 0
    characters: int = 0
    edits: int = 0
    right: int = 0
    mobiles: int = 0
    mobiles_right: int = 0
    audio_s: float = 0.0
    cpu_s: float = 0.0

    def report(self) -> dict[str, float | int | None]:
        return {
            "utterances": self.utterances,
            "cer": round(self.edits / max(self.characters, 1), 4),
            "right": round(self.right / max(self.utterances, 1), 3),
            "mobile_numbers_right": round(self.mobiles_right / self.mobiles, 3) if self.mobiles else None,
            "audio_s": round(self.audio_s, 1),
            "rtf": round(self.cpu_s / max(self.audio_s, 1e-9), 4),
        }


def evaluate(model: vosk.Model, folder: Path, *, show: bool = False) -> Score:
    score = Score()
    for path, text in references(folder):
        pcm = telephone(path)
        began = time.process_time()
        heard = unify(recognise(model, pcm))
        score.cpu_s += time.process_time() - began
        score.audio_s += len(pcm) / 2 / PHONE_RATE
        expected = unify(text)
        edits = edit_distance(expected, heard)
        score.utterances += 1
        score.characters += len(expected)
        score.edits += edits
        score.right += edits == 0
        figures = digits_of(text)
        if len(figures) == MOBILE_DIGITS and figures.startswith("1"):
            score.mobiles += 1
            score.mobiles_right += digits_of(heard) == figures
        if show and edits:
            print(f"{path.stem}\t{expected}\t{heard}")
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("speech", type=Path, nargs="+")
    parser.add_argument("--show", action="store_true", help="print each utterance that is not right")
    arguments = parser.parse_args()
    vosk.SetLogLevel(-1)
    model = vosk.Model(str(arguments.model))
    for folder in arguments.speech:
        score = evaluate(model, folder, show=arguments.show)
        print(json.dumps({"speech": folder.name, **score.report()}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
