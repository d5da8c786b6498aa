"""What the telephone costs in understanding: recordings spoken into real calls, against the clean file.

    python bench/telephone.py --json [--audio DIR ...] [--loss 0 0.01 0.03] [--jitter 40]

Each recording is a caller of its own: SIP, A-law, packets that are late and lost on the way; its words are the live
captions, or what is heard in the recording where a busy recognizer did not keep up. The same engine also gets the file
itself. Without `--audio`: the recordings beside the repository (../shared/data) where they are, else the demo callers.
"""

import argparse
import contextlib
import multiprocessing
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from calls import generate
from report import machine, print_report, progress, target, versions

from asr.batch import read_channel
from asr.engines.vosk import VoskRecognizer
from asr.evaluate import Reference, evaluate, read_references
from asr.scoring import Errors, compare
from asr.server import serve_recognizer
from asr.service import CALLER, transcribe_call
from demo.media_process import MediaProcess, RecordedCall
from demo.phone import write_audio
from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT, AsrSettings
from ivr.journal import JOURNAL_SUFFIX, Journal
from ivr.media.types import SAMPLE_RATE

BESIDE = PACKAGE_ROOT.parent / "shared/data"
PAUSE_S = 2.0  # after the words, so that the last utterance ends by its pause
CALLS_PER_SECOND = 10.0
MORE_ERRORS = 0.03
LISTEN = """
name: listen
start: listen
states:
  listen:
    kind: record
    record: {end_keys: "#", silence_s: 60, no_speech_s: 60, limit_s: 300}
    next: {recorded: end, silent: end}
  end:
    kind: hangup
"""


def write_calls(references: Sequence[Reference], folder: Path) -> tuple[list[Path], float]:
    """The recordings as callers' WAVs of equal length, silence behind the words, and their length in seconds."""
    spoken = []
    for reference in references:
        pcm, rate = read_channel(reference.path, 0)
        samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        spoken.append(samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE))
    length = max(map(len, spoken)) + int(PAUSE_S * SAMPLE_RATE)
    paths = []
    for number, samples in enumerate(spoken):
        paths.append(folder / f"{number}.wav")
        write_audio(paths[-1], np.pad(samples, (0, length - len(samples))))
    return paths, length / SAMPLE_RATE


def words_of(call: RecordedCall, url: str) -> tuple[str, str]:
    """What the transcript of a call has of the caller, made as the worker makes it, and its origin."""
    journal = Journal.read(call.audio_path.with_suffix(JOURNAL_SUFFIX))
    origin, _, utterances = transcribe_call(journal, audio_path=call.audio_path, asr_url=url)
    words = [word.text for item in utterances if item.speaker == CALLER for word in item.words]
    return "".join(words), origin


def call_all(
    media: MediaProcess, references: Sequence[Reference], *, url: str, loss: float, jitter_ms: float, at_once: int
) -> tuple[list[str], int]:
    """What was heard of each recording, and of how many by captions. Recordings of about one length call together."""
    heard, live = dict.fromkeys(references, ""), 0
    by_length = sorted(references, key=lambda reference: reference.path.stat().st_size)
    for begin in range(0, len(by_length), at_once):
        batch = by_length[begin : begin + at_once]
        before = {call.audio_path for call in media.calls()}
        with tempfile.TemporaryDirectory() as folder:
            paths, seconds = write_calls(batch, Path(folder))
            told = generate(
                *media.address,
                *("--calls", str(len(batch)), "--seconds", str(seconds), "--cps", str(CALLS_PER_SECOND)),
                *("--loss", str(loss), "--jitter", str(jitter_ms), "--speech", *map(str, paths)),
                timeout_s=seconds + 60,
            )
        calls = [call for call in media.wait_for_calls(len(before) + len(batch)) if call.audio_path not in before]
        for result in told["calls"]:
            call = next(call for call in calls if call.first("opened").get("sip_call_id") == result["call_id"])
            heard[batch[result["number"]]], origin = words_of(call, url)
            live += origin == "live"
        progress(f"  {min(begin + at_once, len(by_length))} of {len(by_length)} calls, {loss:.0%} of packets lost")
    return [heard[reference] for reference in references], live


@contextlib.contextmanager
def recognizer_process(model_path: Path) -> Iterator[str]:
    """The address of a recognizer with a model."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        settings = Settings(asr=AsrSettings(port=probe.getsockname()[1], model_path=model_path))
    spawn = multiprocessing.get_context("spawn")
    stop, listening = spawn.Event(), spawn.Queue()
    server = spawn.Process(target=serve_recognizer, args=(settings, stop), kwargs={"on_listening": listening.put})
    server.start()
    try:
        listening.get(timeout=60)
        yield settings.effective_asr_url()
    finally:
        stop.set()
        server.join(5)


def figures(errors: Errors) -> dict[str, Any]:
    return {
        "cer": round(errors.cer, 4),
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--json", action="store_true")
    beside = [BESIDE / name for name in ("callers", "human_speech") if (BESIDE / name).is_dir()]
    parser.add_argument("--audio", type=Path, nargs="+", default=beside or [PACKAGE_ROOT / "demo/callers"])
    parser.add_argument("--model", type=Path, default=PACKAGE_ROOT / "asr/zh_tiny")
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0, 0.01, 0.03])
    parser.add_argument("--jitter", type=float, default=40.0, help="most milliseconds a packet is held back")
    parser.add_argument("--at-once", type=int, default=8)
    arguments = parser.parse_args()

    sets = {folder.name: read_references(folder) for folder in arguments.audio}
    everything = [reference for references in sets.values() for reference in references]
    recognizer = VoskRecognizer(arguments.model, allow_demo_model=True)
    table: dict[str, dict[str, Any]] = {
        name: {"characters": (clean := evaluate(recognizer, references).errors).characters, "clean": figures(clean)}
        for name, references in sets.items()
    }
    live = 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-telephone-")))
        flow = folder / "listen.yaml"
        flow.write_text(LISTEN, encoding="utf-8")
        url = stack.enter_context(recognizer_process(arguments.model))
        captions = {"HOTLINE_ASR__URL": url, "HOTLINE_ASR__MAX_LIVE_CALLS": str(arguments.at_once)}
        media = stack.enter_context(MediaProcess(folder / "media", HOTLINE_FLOW__PATH=str(flow), **captions))
        for loss in arguments.loss:
            heard, captioned = call_all(
                media, everything, url=url, loss=loss, jitter_ms=arguments.jitter, at_once=arguments.at_once
            )
            live += captioned
            for name, references in sets.items():
                pairs = [pair for pair in zip(everything, heard, strict=True) if pair[0] in references]
                errors = sum((compare(reference.text, text).errors for reference, text in pairs), Errors())
                table[name][f"loss_{loss:g}"] = figures(errors)
    first = next(iter(table.values()))
    worst = max(first[f"loss_{loss:g}"]["cer"] for loss in arguments.loss)
    report = {
        "benchmark": "telephone",
        "machine": machine(),
        "versions": versions("vosk", "sippy", "soxr"),
        "model": {"name": recognizer.model.name, "demo": recognizer.model.demo},
        "codec": "alaw",
        "jitter_ms": arguments.jitter,
        "recordings": len(everything),
        "table": table,
        "calls": len(everything) * len(arguments.loss),
        "by_live_captions": live,
        "targets": {
            "cer_over_clean_file": target(round(worst - first["clean"]["cer"], 4), MORE_ERRORS, "edits_per_character")
        },
    }
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
