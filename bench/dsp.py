"""What signal processing costs: CPU time of one call's 20 ms frame, for many calls at once, and what it gets right.

    python bench/dsp.py --calls 500 --json

A frame lasts 20,000 us: a microsecond a frame is 0.00005 CPU-s per call-second.
"""

import argparse
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions

from ivr.media import tones
from ivr.media.comfort import ComfortNoise, ComfortNoiseGenerator
from ivr.media.concealment import Concealer
from ivr.media.inband import NO_DIGIT, InbandDetector
from ivr.media.reports import RtcpReports
from ivr.media.types import FRAME_SAMPLES
from ivr.media.wideband import WidebandDecoder, WidebandEncoder, Widener

RECORDINGS = Path(__file__).parents[1] / "demo" / "callers"
LOSS = 0.03
LIMITS_US = {
    "inband_digits": 4.0,
    "concealment": 2.0,
    "concealed_frame": 60.0,
    "comfort_noise": 15.0,
    "rtcp_observe": 1.0,
    "rtcp_report": 200.0,
    "wideband_decode": 80.0,
    "wideband_encode": 60.0,
    "wideband_recorded": 30.0,
}
ROUNDS = 100


def speech() -> np.ndarray[Any, np.dtype[np.int16]]:
    """All recorded callers, frame by frame."""
    parts = []
    for path in sorted(RECORDINGS.glob("*.wav")):
        with wave.open(str(path)) as recording:
            parts.append(np.frombuffer(recording.readframes(recording.getnframes()), np.int16))
    samples = np.concatenate(parts)
    return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def cost_us(run: Callable[[int], object], *, count: int, rounds: int = ROUNDS) -> float:
    """CPU microseconds of each of `count` things that `run(round)` does; the best of three."""
    run(0)
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for number in range(rounds):
            run(number)
        best = min(best, time.process_time() - began)
    return best / rounds / count * 1e6


def measure_costs(calls: int) -> dict[str, float]:
    """Each module on speech that every call hears from another place on."""
    spoken, random = speech(), np.random.default_rng(1)
    slots, starts = np.arange(calls), random.integers(0, len(spoken), calls)

    def frames(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        return spoken[(starts + number) % len(spoken)]

    heard = [frames(number) for number in range(ROUNDS)]
    missing = random.random((ROUNDS, calls)) < LOSS
    none = np.zeros(calls, bool)
    detector, concealer = InbandDetector(slots=calls), Concealer(slots=calls)
    costs = {"inband_digits": cost_us(lambda number: detector.update(slots, heard[number]), count=calls)}
    undisturbed = cost_us(lambda number: concealer.update(slots, heard[number], missing=none), count=calls)
    disturbed = cost_us(lambda number: concealer.update(slots, heard[number], missing=missing[number]), count=calls)
    costs["concealment"] = disturbed
    costs["concealed_frame"] = (disturbed - undisturbed) * calls * ROUNDS / missing.sum()
    noise = ComfortNoiseGenerator(slots=calls, random=random)
    for slot in range(calls):
        noise.set(slot, ComfortNoise(level=50, coefficients=(60, 140)))
    costs["comfort_noise"] = cost_us(lambda _: noise.frames(slots), count=calls)
    frame = heard[0][0]
    encoder, decoder, widener = WidebandEncoder(), WidebandDecoder(), Widener()
    payload = encoder.encode(frame, None)
    costs["wideband_encode"] = cost_us(lambda _: encoder.encode(frame, None), count=1)
    costs["wideband_decode"] = cost_us(lambda _: decoder.decode(payload), count=1)
    costs["wideband_recorded"] = cost_us(lambda _: widener.update(frame, None), count=1)
    return {**costs, **measure_reports(calls)}


def measure_reports(calls: int) -> dict[str, float]:
    """Packets observed, and reports written and read again."""
    slots = np.arange(calls)
    reports = RtcpReports(slots=calls, cname="hotline@127.0.0.1", unix_offset_s=0, random=np.random.default_rng(1))
    for slot in range(calls):
        reports.open(slot, ssrc=slot, now=0)
    clock = iter(range(1 << 30))

    def observe(_: int) -> None:
        number = next(clock)
        sequence = np.full(calls, number & 0xFFFF, np.uint16)
        timestamp = np.full(calls, number * FRAME_SAMPLES & 0xFFFFFFFF, np.uint32)
        reports.observe(slots, sequence=sequence, timestamp=timestamp, ssrc=slots.astype(np.uint32), arrival=timestamp)

    def report(_: int) -> None:
        reports.sent(slots[:1], octets=FRAME_SAMPLES)
        reports.receive(0, reports.build(0, now=1.0, timestamp=0), now=1.0)

    return {"rtcp_observe": cost_us(observe, count=calls), "rtcp_report": cost_us(report, count=1)}


def detected(samples: np.ndarray[Any, np.dtype[np.int16]]) -> str:
    """The digits that a detector hears."""
    frames = np.resize(samples, (len(samples) // FRAME_SAMPLES, FRAME_SAMPLES))
    detector, slot = InbandDetector(slots=1), np.array([0])
    told = [detector.update(slot, frame[None])[0] for frame in frames]
    return "".join(tones.KEYPAD[index] for index in told if index != NO_DIGIT)


def measure_digits() -> dict[str, int]:
    """Keys of 50 ms missed in noise 15 dB below them, and digits heard in speech."""
    random, dialled = np.random.default_rng(1), tones.KEYPAD * 10
    clean = tones.dtmf(dialled, tone_ms=50, pause_ms=50, low_dbm0=-13, high_dbm0=-13)
    noise = random.normal(0, tones.amplitude(-13) / 10 ** (15 / 20), len(clean))
    heard = detected(np.concatenate([np.rint(clean + noise).astype(np.int16), np.zeros(800, np.int16)]))
    return {"missed_digits": len(dialled) - len(heard), "false_digits": len(detected(speech().ravel()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    progress(f"{options.calls} calls ...")
    costs = {name: round(value, 3) for name, value in measure_costs(options.calls).items()}
    digits = measure_digits()
    targets = {name: target(costs[name], limit, "us_per_frame") for name, limit in LIMITS_US.items()}
    targets |= {name: target(count, 0, "digits") for name, count in digits.items()}
    report = {
        "benchmark": "dsp",
        "machine": machine(),
        "versions": versions("numpy", "g722"),
        "calls": options.calls,
        "cost_us": costs,
    }
    print_report({**report, **digits, "targets": targets}, as_json=options.json)


if __name__ == "__main__":
    main()
