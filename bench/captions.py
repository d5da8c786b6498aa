"""How far live captions lag behind the speaker: the demo callers in real time through recognizer and caption stream.

`python bench/captions.py --json [--calls N]`. A lag runs from the end of a word in the recording to the moment the
listener was told: of a partial, when the caption first reached as far as that word in any reading; of a final, from
its last word. "kept" is the share of words that already read then as in their final. The wire interval is the time
between the recognizer's non-empty partials within an utterance.
"""

import argparse
import multiprocessing
import socket
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions
from websockets.sync.client import connect

from asr.batch import read_channel
from asr.blocks import BLOCK_MS, bytes_of
from asr.protocol import Config, parse_reply
from asr.recognizer import Final, Partial
from asr.server import serve_recognizer
from asr.stream import CaptionEvent, CaptionService, StreamEnded
from demo.media_process import cpu_seconds
from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT, AsrSettings
from ivr.media.types import SAMPLE_RATE

FRAME_BYTES, FRAME_S = 320, 0.02
PAUSE_BYTES = 16 * 2000  # silence before the hang-up: the last utterance ends by its pause, like the others


@dataclass
class Listener:
    """What was told of one caller, in seconds since the first frame was due."""

    began: float
    partials: list[tuple[float, str]] = field(default_factory=list)
    finals: list[tuple[float, Final]] = field(default_factory=list)
    complete: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, event: CaptionEvent) -> None:
        at = time.monotonic() - self.began
        if isinstance(event, Partial):
            self.partials.append((at, event.text))
        elif isinstance(event, Final):
            self.finals.append((at, event))
        elif isinstance(event, StreamEnded):
            self.complete = event.complete
            self.ended.set()

    def final_lags(self) -> list[float]:
        return [at - final.end_ms / 1000 for at, final in self.finals]

    def partials_of_words(self) -> list[tuple[float, bool]]:
        """For each word its lag and whether it was kept; a word that no partial reached counts from its final."""
        words = []
        since = 0.0
        for final_at, final in self.finals:
            shown = [(at, text) for at, text in self.partials if since <= at <= final_at] + [(final_at, final.text)]
            reach = 0
            for word in final.words:
                begin, reach = reach, reach + len(word.text)
                at, text = next(item for item in shown if len(item[1]) >= reach)
                words.append((at - word.end_ms / 1000, word.text in text[max(0, begin - 2) : reach + 2]))
            since = final_at
        return words


def speak(began: float, pcm: bytes, size: int, take: Any) -> None:
    """Hands `pcm` to `take` in pieces of `size` bytes, each when its last sample would have been spoken."""
    for at in range(0, len(pcm), size):
        time.sleep(max(0.0, began + (at + size) / FRAME_BYTES * FRAME_S - time.monotonic()))
        take(pcm[at : at + size])


def caption_calls(url: str, callers: list[bytes]) -> list[Listener]:
    """All callers at once, each starting 70 ms after the one before so that their blocks do not fall together."""
    service = CaptionService(url, max_live_calls=len(callers))
    listeners, threads = [], []
    for number, pcm in enumerate(callers):
        listener = Listener(time.monotonic() + 0.2 + 0.07 * number)
        stream = service.open(f"call-{number}", speaker="caller", on_event=listener)

        def run(listener: Listener = listener, stream: Any = stream, pcm: bytes = pcm) -> None:
            speak(listener.began, pcm, FRAME_BYTES, stream.feed)
            stream.finish()

        listeners.append(listener)
        threads.append(threading.Thread(target=run))
    for thread in threads:
        thread.start()
    for thread, listener in zip(threads, listeners, strict=True):
        thread.join()
        listener.ended.wait(10)
    service.close()
    return listeners


def wire_intervals(url: str, pcm: bytes) -> list[float]:
    """Seconds between non-empty partials of one utterance as a client of the protocol gets them."""
    intervals: list[float] = []
    last: float | None = None
    with connect(url, proxy=None) as connection:
        connection.send(Config(sample_rate=SAMPLE_RATE).serialize())

        def take(block: bytes) -> None:
            nonlocal last
            connection.send(block)
            event, now = parse_reply(str(connection.recv(10))), time.monotonic()
            if isinstance(event, Partial) and last is not None:
                intervals.append(now - last)
            last = now if isinstance(event, Partial) else None

        speak(time.monotonic(), pcm, bytes_of(BLOCK_MS, SAMPLE_RATE), take)
    return intervals


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p95 = map(float, np.percentile(values, [50, 95]))
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(max(values), 3), "count": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=4)
    arguments = parser.parse_args()

    files = sorted((PACKAGE_ROOT / "demo/callers").glob("*.wav"))
    audio = [read_channel(path, 0)[0] for path in files]
    callers = [audio[number % len(audio)] + bytes(PAUSE_BYTES) for number in range(arguments.calls)]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        settings = Settings(asr=AsrSettings(port=probe.getsockname()[1]))
    spawn = multiprocessing.get_context("spawn")
    stop, listening = spawn.Event(), spawn.Queue()
    server = spawn.Process(target=serve_recognizer, args=(settings, stop), kwargs={"on_listening": listening.put})
    server.start()
    assert server.pid is not None
    try:
        listening.get(timeout=30)
        url = settings.effective_asr_url()
        progress(f"{len(callers)} calls speak for {max(map(len, callers)) / 16_000:.0f} s")
        began, cpu = time.monotonic(), cpu_seconds(server.pid)
        listeners = caption_calls(url, callers)
        cpu = cpu_seconds(server.pid) - cpu
        progress(f"captions took {time.monotonic() - began:.1f} s; one more call on the bare protocol")
        intervals = wire_intervals(url, audio[0])
    finally:
        stop.set()
        server.join(5)
    words = [word for listener in listeners for word in listener.partials_of_words()]
    partial = [lag for lag, _ in words]
    final = [lag for listener in listeners for lag in listener.final_lags()]
    changes = [
        later - earlier
        for listener in listeners
        for (earlier, _), (later, _) in pairwise(listener.partials)
        if not any(earlier <= at <= later for at, _ in listener.finals)
    ]
    report = {
        "benchmark": "captions",
        "machine": machine(),
        "versions": versions("vosk", "websockets", "soxr"),
        "calls": len(callers),
        "complete": sum(listener.complete for listener in listeners),
        "partial_lag_s": percentiles(partial),
        "partial_kept": round(sum(kept for _, kept in words) / len(words), 3),
        "final_lag_s": percentiles(final),
        "change_interval_s": percentiles(changes),
        "wire_interval_s": percentiles(intervals),
        "recognizer_cpu_s_per_call_s": round(cpu / (sum(map(len, callers)) / 16_000), 4),
        "targets": {
            "partial_lag_p95": target(percentiles(partial)["p95"], 1.0, "s"),
            "final_lag_p95": target(percentiles(final)["p95"], 1.5, "s"),
            "wire_interval_max": target(max(intervals), 0.3, "s"),
            "incomplete_streams": target(len(callers) - sum(item.complete for item in listeners), 0, "streams"),
        },
    }
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
