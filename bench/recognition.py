"""How well and how fast the site's model understands, with bare libvosk as the peer in the same run.

`python bench/recognition.py --json [--audio DIR --texts TSV] [--model DIR] [--rounds N]`. Without arguments: the
callers beside the repository (../shared/data/callers) where present, else the demo callers. The peer gets the same
8 kHz audio in the same 100 ms blocks without our code around it; file by file the two take turns, and CPU time is
compared, so that a busy machine does both the same harm. The process is the recognizer as `hotline serve` runs it.
CER: punctuation stripped, digits unified.
"""

import argparse
import json
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import vosk
from calls import resident_mb
from report import machine, print_report, progress, target, versions

from asr.batch import read_channel
from asr.blocks import BLOCK_MS, BYTES_PER_SAMPLE, bytes_of
from asr.engines.remote import RemoteRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.evaluate import read_references
from asr.recognizer import Final, Recognizer
from asr.resample import open_stream_at
from asr.scoring import Errors, compare
from asr.server import serve_recognizer
from demo.media_process import cpu_seconds, free_port
from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT, AsrSettings

DEMO = PACKAGE_ROOT / "demo/callers"
BESIDE = PACKAGE_ROOT.parent / "shared/data/callers"
STREAMS = 16  # open at once to see what one takes in memory
MB = 1 << 20


def peer_transcribe(model: Any, pcm: bytes, rate: int) -> str:
    """What libvosk alone makes of a recording."""
    size = bytes_of(BLOCK_MS, rate)
    decoder = vosk.KaldiRecognizer(model, rate)
    decoder.SetWords(True)
    texts = []
    for at in range(0, len(pcm), size):
        if decoder.AcceptWaveform(pcm[at : at + size]):
            texts.append(json.loads(decoder.Result())["text"])
        else:
            decoder.PartialResult()
    texts.append(json.loads(decoder.FinalResult())["text"])
    return "".join(texts)


def transcribe(recognizer: Recognizer, pcm: bytes, rate: int) -> str:
    """What our recognizer makes of it."""
    stream = open_stream_at(recognizer, rate)
    events = stream.accept(pcm) + stream.finish()
    return "".join(event.text for event in events if isinstance(event, Final))


class Score:
    """Errors and CPU seconds over all files."""

    def __init__(self) -> None:
        self.errors = Errors()
        self.cpu_s = self.audio_s = 0.0

    def add(self, reference: str, hypothesis: str, *, cpu_s: float, audio_s: float) -> Errors:
        """Counts one file; returns its errors."""
        errors = compare(reference, hypothesis).errors
        self.errors += errors
        self.cpu_s += cpu_s
        self.audio_s += audio_s
        return errors

    @property
    def cer(self) -> float:
        return self.errors.cer

    @property
    def rtf(self) -> float:
        return self.cpu_s / self.audio_s


def process_figures(model_path: Path, files: list[tuple[bytes, int]]) -> dict[str, Any]:
    """CPU time and memory of the recognizer process."""
    settings = Settings(asr=AsrSettings(model_path=model_path, port=free_port(), max_connections=STREAMS + 4))
    spawn = multiprocessing.get_context("spawn")
    stop, listening = spawn.Event(), spawn.Queue()
    server = spawn.Process(target=serve_recognizer, args=(settings, stop), kwargs={"on_listening": listening.put})
    server.start()
    assert server.pid is not None
    try:
        listening.get(timeout=60)
        url = settings.effective_asr_url()
        transcribe(RemoteRecognizer(url, sample_rate=files[0][1]), *files[0])  # first touch of the graph's pages
        cpu, began = cpu_seconds(server.pid), time.monotonic()
        shares = [files[index::2] for index in range(2)]

        def talk(share: list[tuple[bytes, int]]) -> None:
            for pcm, rate in share:
                transcribe(RemoteRecognizer(url, sample_rate=rate), pcm, rate)

        threads = [threading.Thread(target=talk, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        audio_s = sum(len(pcm) / BYTES_PER_SAMPLE / rate for pcm, rate in files)
        rtf, wall_s = (cpu_seconds(server.pid) - cpu) / audio_s, time.monotonic() - began
        pcm, rate = max(files, key=lambda file: len(file[0]))
        memory = resident_mb(server.pid)
        streams = [RemoteRecognizer(url, sample_rate=rate).open_stream() for _ in range(STREAMS)]
        for stream in streams:
            stream.accept(pcm[: bytes_of(8000, rate)])
        each = (resident_mb(server.pid) - memory) / STREAMS
        for stream in streams:
            stream.finish()
    finally:
        stop.set()
        server.join(10)
    return {
        "cpu_s_per_audio_s": round(rtf, 4),
        "streams_per_core": round(1 / rtf, 1),
        "audio_s_per_s": round(audio_s / wall_s, 1),
        "memory_mb": round(memory, 1),
        "memory_mb_per_stream": round(each, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    folder = BESIDE if (BESIDE / "callers.tsv").exists() else DEMO
    parser.add_argument("--audio", type=Path, default=folder)
    parser.add_argument("--texts", type=Path, help="a table beside the audio; default: the one in its folder")
    parser.add_argument("--model", type=Path, default=PACKAGE_ROOT / "asr/zh_tiny")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()

    references = [item for item in read_references(arguments.texts or arguments.audio) if item.path.exists()]
    files = [read_channel(item.path, 0) for item in references]
    began = time.perf_counter()
    recognizer = VoskRecognizer(arguments.model, allow_demo_model=True)
    load_s = time.perf_counter() - began
    progress(f"{len(references)} texts, {recognizer.model.name} loaded in {load_s:.2f} s")
    model_rate = recognizer.capabilities.sample_rate
    if any(rate != model_rate for _, rate in files):
        raise SystemExit(f"the recordings do not all have the model's {model_rate} Hz: the peer would need a resampler")
    peer_model = vosk.Model(str(arguments.model))
    transcribe(recognizer, *files[0])  # first touch of the graphs' pages
    peer_transcribe(peer_model, *files[0])
    ours, peer, utterances = Score(), Score(), []
    for turn in range(arguments.rounds):
        for reference, (pcm, rate) in zip(references, files, strict=True):
            audio_s = len(pcm) / BYTES_PER_SAMPLE / rate
            started = time.process_time()
            heard = transcribe(recognizer, pcm, rate)
            between = time.process_time()
            beside = peer_transcribe(peer_model, pcm, rate)
            errors = ours.add(reference.text, heard, cpu_s=between - started, audio_s=audio_s)
            peer.add(reference.text, beside, cpu_s=time.process_time() - between, audio_s=audio_s)
            if turn == 0:
                utterances.append({"name": reference.path.stem, "cer": round(errors.cer, 4), "hypothesis": heard})
    progress(f"CER {ours.cer:.1%}, {ours.rtf:.4f} CPU-s a second beside {peer.rtf:.4f}; now the process")
    report = {
        "benchmark": "recognition",
        "machine": machine(),
        "versions": versions("vosk", "soxr", "websockets"),
        "model": {"name": recognizer.model.name, "demo": recognizer.model.demo, "load_s": round(load_s, 3)},
        "audio": arguments.audio.name,
        "audio_s": round(ours.audio_s / arguments.rounds, 1),
        "cer": round(ours.cer, 4),
        "rtf": round(ours.rtf, 4),
        "peer": {"name": "libvosk alone", "cer": round(peer.cer, 4), "rtf": round(peer.rtf, 4)},
        "rtf_ratio": round(ours.rtf / peer.rtf, 3),
        "process": process_figures(arguments.model, files),
        "utterances": utterances,
        "targets": {
            "cer": target(ours.cer, 0.15, "edits_per_character"),
            "cer_over_peer": target(ours.cer - peer.cer, 0.0, "edits_per_character"),
            "rtf": target(ours.rtf, 0.1, "cpu_s_per_s"),
            "rtf_ratio": target(ours.rtf / peer.rtf, 1.1, "times"),
        },
    }
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
