"""How well and how fast the site's model understands, with bare libvosk as the peer in the same run.

`python bench/recognition.py --json [--audio DIR --texts TSV] [--model DIR]`. Without arguments: the callers beside the
repository (../shared/data/callers) where present, else the demo callers. The peer gets the same 8 kHz audio in the
same 100 ms blocks without our code around it. CER: punctuation stripped, digits unified.
"""

import argparse
import json
import time
from pathlib import Path

import vosk
from report import machine, print_report, progress, target, versions

from asr.batch import read_channel
from asr.blocks import BLOCK_MS, bytes_of
from asr.engines.vosk import VoskRecognizer
from asr.evaluate import Evaluation, evaluate, read_references
from asr.scoring import Errors, compare
from hotline.settings_sections import PACKAGE_ROOT

DEMO = PACKAGE_ROOT / "demo/callers"
BESIDE = PACKAGE_ROOT.parent / "shared/data/callers"


def bare_libvosk(model_path: Path, folder: Path, evaluation: Evaluation, sample_rate: int) -> dict[str, float]:
    """CER and RTF of libvosk alone over the same files."""
    model = vosk.Model(str(model_path))
    errors, decode_s = Errors(), 0.0
    for item in evaluation.utterances:
        pcm, rate = read_channel(folder / f"{item.name}.wav", 0)
        if rate != sample_rate:
            raise SystemExit(f"{item.name}.wav has {rate} Hz, the model {sample_rate}: the peer would need a resampler")
        size = bytes_of(BLOCK_MS, rate)
        began = time.perf_counter()
        decoder = vosk.KaldiRecognizer(model, rate)
        decoder.SetWords(True)
        texts = []
        for at in range(0, len(pcm), size):
            if decoder.AcceptWaveform(pcm[at : at + size]):
                texts.append(json.loads(decoder.Result())["text"])
            else:
                decoder.PartialResult()
        texts.append(json.loads(decoder.FinalResult())["text"])
        decode_s += time.perf_counter() - began
        errors += compare(item.reference, "".join(texts)).errors
    return {"cer": errors.cer, "rtf": decode_s / evaluation.audio_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    folder = BESIDE if (BESIDE / "callers.tsv").exists() else DEMO
    parser.add_argument("--audio", type=Path, default=folder)
    parser.add_argument("--texts", type=Path, help="a table beside the audio; default: the one in its folder")
    parser.add_argument("--model", type=Path, default=PACKAGE_ROOT / "asr/zh_tiny")
    arguments = parser.parse_args()

    references = read_references(arguments.texts or arguments.audio)
    began = time.perf_counter()
    recognizer = VoskRecognizer(arguments.model, allow_demo_model=True)
    load_s = time.perf_counter() - began
    progress(f"{len(references)} texts, {recognizer.model.name} loaded in {load_s:.2f} s")
    evaluate(recognizer, references[:1])  # first touch of the graph's pages
    evaluation = evaluate(recognizer, references)
    progress(f"CER {evaluation.cer:.1%}; now libvosk alone")
    peer = bare_libvosk(arguments.model, arguments.audio, evaluation, recognizer.capabilities.sample_rate)
    report = {
        "benchmark": "recognition",
        "machine": machine(),
        "versions": versions("vosk"),
        "model": {"name": recognizer.model.name, "demo": recognizer.model.demo, "load_s": round(load_s, 3)},
        "audio": arguments.audio.name,
        "audio_s": round(evaluation.audio_s, 1),
        "cer": round(evaluation.cer, 4),
        "rtf": round(evaluation.rtf, 4),
        "peer": {"name": "libvosk alone", "cer": round(peer["cer"], 4), "rtf": round(peer["rtf"], 4)},
        "rtf_ratio": round(evaluation.rtf / peer["rtf"], 3),
        "utterances": [
            {"name": item.name, "cer": round(item.errors.cer, 4), "hypothesis": item.heard.text}
            for item in evaluation.utterances
        ],
        "targets": {
            "cer": target(evaluation.cer, 0.15, "edits_per_character"),
            "cer_over_peer": target(evaluation.cer - peer["cer"], 0.0, "edits_per_character"),
            "rtf": target(evaluation.rtf, 0.2, "s_per_s"),
            "rtf_ratio": target(evaluation.rtf / peer["rtf"], 1.25, "times"),
        },
    }
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
