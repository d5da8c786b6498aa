"""Load on the media engine alone: N recorded two-way calls from a separate process over loopback.

    python bench/engine.py --calls 100 --seconds 10 --json
    python bench/engine.py --calls 100 --bridged --json

The engine answers every call with speech-like noise while each caller sends noise of its own. Send jitter is how far
packets arrive (kernel timestamps) from their RTP timestamps, relative to the earliest of the call. A recording is
exact when its left channel holds every frame the caller sent, bit for bit, and silence else. With `--bridged` the
second half of the phones are seats, each hearing a caller of the first half and heard by him: half as many calls.
"""

import argparse
import json
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions

from ivr.media import g711
from ivr.media.engine import EngineStats, MediaEngine
from ivr.media.mixer import Party, Role, mix_of
from ivr.media.rtcp import RECEIVER_REPORT, SENDER_REPORT
from ivr.media.rtp import RtpPacket
from ivr.media.types import FRAME_SAMPLES, Codec, Leg, MediaCall, RemoteMedia, RtpAddress
from recordings.recorder import RecorderThread, WavRecorder
from recordings.wav import wav_info

HOST = "127.0.0.1"
TICK_S = 0.02
SETTLE_S = 0.5
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("qq")
CPU_LIMIT = 0.0012
JITTER_LIMIT_MS = 10.0
MIX = mix_of({"caller": Party(Role.CALLER), "seat": Party(Role.SEAT)})
WARM_UP = 25
"""Packets at a call's start that tell of opening many calls at once, not of sending."""


class Listener:
    """Hears and does nothing."""

    def on_digit(self, digit: str, offset_ms: int) -> None: ...

    def on_playback_ended(self, token: int, completed: bool, offset_ms: int) -> None: ...

    def on_speech_started(self, offset_ms: int) -> None: ...

    def on_speech_ended(self, offset_ms: int) -> None: ...

    def on_media_timeout(self) -> None: ...


def caller_audio(call: int, frames: int) -> bytes:
    """What caller number `call` says: A-law noise, never silent."""
    return random.Random(call).randbytes(frames * FRAME_SAMPLES)


def codec_of(call: int) -> Codec:
    """Both laws take turns."""
    return Codec.PCMA if call % 2 == 0 else Codec.PCMU


def send_calls(calls: int, seconds: float) -> dict[str, Any]:
    """The callers' process: tells its ports, reads the engine's, sends, and tells what arrived."""
    sockets = []
    for _ in range(calls):
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        endpoint.bind((HOST, 0))
        endpoint.setblocking(False)
        endpoint.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sockets.append(endpoint)
    print(json.dumps([endpoint.getsockname()[1] for endpoint in sockets]), flush=True)
    targets = [(HOST, port) for port in json.loads(sys.stdin.readline())]
    frames = int(seconds / TICK_S)
    audio = [caller_audio(call, frames) for call in range(calls)]
    arrivals: list[list[tuple[int, int]]] = [[] for _ in range(calls)]
    start = time.monotonic()
    worst_late = 0.0
    for frame in range(frames):
        wait = start + frame * TICK_S - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        worst_late = max(worst_late, -wait)
        span = slice(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)
        for call, endpoint in enumerate(sockets):
            packet = RtpPacket(
                payload_type=codec_of(call).value,
                sequence=frame & 0xFFFF,
                timestamp=frame * FRAME_SAMPLES,
                ssrc=call + 1,
                payload=audio[call][span],
            )
            endpoint.sendto(packet.serialize(), targets[call])
            read_arrivals(endpoint, arrivals[call])
    time.sleep(SETTLE_S)
    for endpoint, seen in zip(sockets, arrivals, strict=True):
        read_arrivals(endpoint, seen)
    lateness = np.concatenate([send_lateness_ms(seen) for seen in arrivals])
    return {
        "received_by_callers": sum(map(len, arrivals)),
        "lost_to_callers": sum(map(missing, arrivals)),
        "send_jitter_ms": {f"p{part}": round(float(np.percentile(lateness, part)), 3) for part in (50, 99, 100)},
        "callers_worst_late_ms": round(worst_late * 1000, 3),
        "callers_cpu_s": round(cpu_s(), 3),
    }


def read_arrivals(endpoint: socket.socket, seen: list[tuple[int, int]]) -> None:
    """Appends (RTP header word of sequence and timestamp, kernel time in ns) of all waiting packets."""
    while True:
        try:
            data, ancillary, _, _ = endpoint.recvmsg(2048, 64)
        except BlockingIOError:
            return
        if data[1] in (SENDER_REPORT, RECEIVER_REPORT):  # about the phone whose RTP port is the one before
            continue
        seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
        seen.append((int.from_bytes(data[2:8], "big"), seconds * 1_000_000_000 + nanoseconds))


def send_lateness_ms(seen: list[tuple[int, int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How much later than the earliest packet, by its timestamp, each packet arrived."""
    words = np.array([word for word, _ in seen], np.int64)
    times = np.array([at for _, at in seen], np.int64)
    sent = (words - words[0]).astype(np.uint32).view(np.int32) / 8.0
    lateness: np.ndarray[Any, np.dtype[np.float64]] = ((times - times[0]) / 1e6 - sent)[WARM_UP:]
    lateness -= lateness.min()
    return lateness


def missing(seen: list[tuple[int, int]]) -> int:
    """Packets that the sequence numbers say were sent and that did not arrive."""
    sequence = np.array([word >> 32 for word, _ in seen], np.uint16)
    return int((np.diff(sequence).astype(np.int64) - 1).sum())


def cpu_s() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def is_exact(path: Path, call: int, frames: int) -> bool:
    """Whether the recording's left channel is the caller's audio, silence around it."""
    samples = np.fromfile(path, "<i2", offset=wav_info(path).data_start).reshape(-1, 2)[:, 0]
    said = g711.decode(caller_audio(call, frames), codec=codec_of(call))
    start = int(np.flatnonzero(samples)[0]) - int(np.flatnonzero(said)[0]) if samples.any() else -1
    if start < 0:
        return False
    end = start + len(said)
    return np.array_equal(samples[start:end], said) and not samples[end:].any()


def measure(calls: int, seconds: float, folder: Path, *, bridged: bool) -> dict[str, Any]:
    """Runs the engine in this process and the callers in another."""
    command = [sys.executable, __file__, "--callers", "--calls", str(calls), "--seconds", str(seconds)]
    callers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert callers.stdin is not None
    assert callers.stdout is not None
    ports = json.loads(callers.stdout.readline())
    writer = RecorderThread()
    writer.start()
    engine = MediaEngine(
        bind_address=HOST, port_min=30000, port_max=39998, max_calls=calls, playout_delay_ms=60, rtp_timeout_s=30
    )
    engine.start()
    prompt = np.random.default_rng(1).integers(-20000, 20000, int((seconds + 5) * 8000), np.int16)
    rooms = calls // 2 if bridged else calls
    recorders = [WavRecorder(folder / f"{call}.wav", writer) for call in range(rooms)]
    media: list[MediaCall] = []
    legs: list[Leg] = []
    for call, port in enumerate(ports):
        remote = RemoteMedia(address=RtpAddress(HOST, port), codec=codec_of(call), telephone_event=101)
        if call < rooms:
            media.append(engine.open(listener=Listener(), remote=remote, sink=recorders[call], tap=None))
            legs.append(media[-1])
            media[-1].play(prompt, token=call)
        else:
            legs.append(media[call - rooms].add_leg("seat", listener=Listener(), remote=remote))
            media[call - rooms].set_mix(MIX)
    cpu, began = cpu_s(), time.monotonic()
    callers.stdin.write(json.dumps([item.local_port for item in legs]) + "\n")
    callers.stdin.flush()
    told = callers.stdout.readline()
    cpu, elapsed = cpu_s() - cpu, time.monotonic() - began
    callers.wait()
    for item in media:
        item.close()
    engine.stop()
    writer.stop()
    stats: EngineStats = engine.stats()
    frames = int(seconds / TICK_S)
    exact = sum(is_exact(folder / f"{call}.wav", call, frames) for call in range(rooms))
    return {
        "calls": rooms,
        "legs": calls,
        "seconds": round(elapsed, 3),
        "cpu_s_per_leg_s": round(cpu / (calls * elapsed), 6),
        "cores_used": round(cpu / elapsed, 3),
        "received": stats.packets.received,
        "late": stats.packets.late,
        "lost": calls * frames - stats.packets.received + stats.packets.dropped,
        "bad": stats.bad,
        "exact_recordings": exact,
        "late_ticks": stats.ticks.late,
        "skipped_ticks": stats.ticks.skipped,
        "tick_lateness_ms": {
            "p50": round(stats.ticks.lateness_p50_ms, 3),
            "p99": round(stats.ticks.lateness_p99_ms, 3),
        },
        "priority_raised": stats.priority_raised,
        **json.loads(told),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bridged", action="store_true", help="half of the phones are seats that speak with callers")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--callers", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.callers:
        print(json.dumps(send_calls(options.calls, options.seconds)), flush=True)
        return
    progress(f"{options.calls} calls for {options.seconds:g} s ...")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.calls, options.seconds, Path(folder), bridged=options.bridged)
    targets = {
        "cpu": target(figures["cpu_s_per_leg_s"], CPU_LIMIT, "cpu_s_per_leg_s"),
        "send_jitter_p99": target(figures["send_jitter_ms"]["p99"], JITTER_LIMIT_MS, "ms"),
        "lost": target(figures["lost"], 0, "packets"),
        "inexact_recordings": target(figures["calls"] - figures["exact_recordings"], 0, "recordings"),
    }
    report = {"benchmark": "engine", "machine": machine(), "versions": versions("numpy"), **figures, "targets": targets}
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
