"""What a call costs: concurrent two-way recorded calls over loopback, each compared with what its caller sent.

`python bench/calls.py --json [--calls N] [--seconds S] [--to HOST:PORT]`. This process holds all phones; the media
process is started alone, or with `--to` another server is called (then its CPU time and recordings are out of reach).
The peer is SIPp, which answers the same calls and echoes their packets without decoding, mixing or recording.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions

from demo.call import CallPlan, CallResult, Phone
from demo.compare import caller_channel_matches
from demo.g711 import SAMPLE_RATE, Law, encode
from demo.media_process import HOST, MediaProcess, cpu_seconds, free_port
from demo.sip import SipUri

RAMP_S = 0.02  # between two calls
TAIL_S = 0.3  # silence before the hang-up, longer than any jitter buffer
CPU_LIMIT = 0.002


def speech(seconds: float, seed: int) -> bytes:
    """A-law noise in bursts, another for each caller: no channel can be taken for another's."""
    generator = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    loudness = np.repeat(generator.choice([0, 3000], count // SAMPLE_RATE + 1, p=[0.2, 0.8]), SAMPLE_RATE)[:count]
    loudness[: SAMPLE_RATE // 2] = loudness[-SAMPLE_RATE // 2 :] = 3000
    return encode(np.clip(generator.normal(0, 1, count) * loudness, -32000, 32000).astype(np.int16), Law.PCMA)


def number(index: int) -> str:
    """The caller's number, by which a recording is found again."""
    return f"138{index:08d}"


async def place_calls(host: str, port: int, calls: int, seconds: float) -> list[CallResult]:
    """All calls at once, begun one after another."""

    async def one(index: int) -> CallResult:
        plan = CallPlan(
            to=SipUri("12345", host, port),
            caller=number(index),
            audio=speech(seconds, index),
            press="",
            start_after=0.0,
            hang_up_after=TAIL_S,
            limit=seconds + 30,
        )
        await asyncio.sleep(index * RAMP_S)
        return await Phone(plan).run()

    return await asyncio.gather(*(one(index) for index in range(calls)))


def measure(
    pid: int | None, host: str, port: int, calls: int, seconds: float
) -> tuple[list[CallResult], dict[str, Any]]:
    """Places the calls; returns them and the figures that any server has."""
    before, began = (cpu_seconds(pid) if pid else 0.0), time.monotonic()
    results = asyncio.run(place_calls(host, port, calls, seconds))
    call_seconds = sum(result.duration_s for result in results)
    answers = [result.answer_ms for result in results if result.answer_ms is not None]
    own_lateness = [late for result in results for late in result.send_jitter_ms]
    figures: dict[str, Any] = {
        "answered": len(answers),
        "lost_calls": sum(result.reason not in ("hung_up", "far_end_hung_up") for result in results),
        "lost_packets": sum(result.received.lost for result in results),
        "packets_sent": sum(len(result.send_jitter_ms) for result in results),
        "packets_received": sum(result.received.received for result in results),
        "answer_p50_ms": percentile(answers, 50),
        "answer_p99_ms": percentile(answers, 99),
        "send_jitter_p99_ms": percentile([result.received.late_p99_ms for result in results], 50),
        "send_jitter_worst_call_p99_ms": percentile([result.received.late_p99_ms for result in results], 100),
        "phones_own_lateness_p99_ms": percentile(own_lateness, 99),
        "call_seconds": round(call_seconds, 1),
        "wall_s": round(time.monotonic() - began, 1),
    }
    if pid:
        figures["cpu_s_per_call_s"] = round((cpu_seconds(pid) - before) / max(call_seconds, 1e-9), 6)
    return results, figures


def compare(media: MediaProcess, results: list[CallResult]) -> dict[str, Any]:
    """Sets each recording's caller channel against what that caller sent."""
    recorded = {call.first("opened").get("caller"): call for call in media.wait_for_calls(len(results), timeout_s=30)}
    inexact, offsets, two_way = [], [], 0
    for index, result in enumerate(results):
        call = recorded.get(number(index))
        if call is None:
            inexact.append(number(index))
            continue
        stereo = call.channels()
        match = caller_channel_matches(stereo[:, 0], result.sent)
        offsets.append(match.offset / SAMPLE_RATE * 1000)
        two_way += bool(np.abs(stereo[:, 1]).max(initial=0) > 1000 and np.abs(result.heard).max(initial=0) > 1000)
        if not match.exact:
            inexact.append(number(index))
            progress(f"caller {number(index)}: {100 * match.ratio:.3f} % of the samples as sent")
    return {
        "recordings": len(recorded),
        "two_way": two_way,
        "inexact": len(inexact),
        "recording_offset_p99_ms": percentile(offsets, 99),
    }


def idle_cpu(pid: int, seconds: float = 2.0) -> float:
    """CPU seconds a second before the first call: a share of the cost that more calls don't raise."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return round((cpu_seconds(pid) - before) / seconds, 4)


@contextmanager
def sipp_echo() -> Iterator[tuple[int, int]]:
    """SIPp's own server with its RTP echo: process id and SIP port."""
    port, media_port = free_port(), free_port()
    options = ["-sn", "uas", "-i", HOST, "-p", str(port), "-mi", HOST, "-mp", str(media_port), "-rtp_echo", "-nostdin"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["sipp", *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(1.0)
            yield process.pid, port
        finally:
            process.kill()
            process.wait()


def percentile(values: list[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 3) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--to", help="HOST:PORT of a server that runs already")
    parser.add_argument("--no-peer", action="store_true", help="leave SIPp out")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "benchmark": "calls",
        "machine": machine(),
        "versions": versions("hotline", "sippy", "numpy"),
        "calls": arguments.calls,
        "seconds": arguments.seconds,
    }
    targets: dict[str, Any] = {}
    progress(f"{arguments.calls} calls of {arguments.seconds:g} s ...")
    if arguments.to:
        host, _, port = arguments.to.partition(":")
        _, report["hotline"] = measure(None, host, int(port or 5060), arguments.calls, arguments.seconds)
    else:
        with (
            tempfile.TemporaryDirectory() as folder,
            MediaProcess(Path(folder), HOTLINE_SIP__MAX_CALLS=str(arguments.calls + 1)) as media,
        ):
            idle = idle_cpu(media.pid)
            results, figures = measure(media.pid, HOST, media.sip_port, arguments.calls, arguments.seconds)
            report["hotline"] = figures | {"idle_cpu_s_per_s": idle} | compare(media, results)
        targets["cpu_s_per_call_s"] = target(figures["cpu_s_per_call_s"], CPU_LIMIT, "cpu_s_per_call_s")
        targets["inexact"] = target(report["hotline"]["inexact"], 0, "recordings")
    lost = report["hotline"]["lost_calls"] + report["hotline"]["lost_packets"]
    targets["lost"] = target(lost, 0, "calls and packets")
    if not arguments.no_peer and not arguments.to and shutil.which("sipp"):
        progress("the same from SIPp ...")
        with sipp_echo() as (pid, port):
            _, report["sipp"] = measure(pid, HOST, port, arguments.calls, arguments.seconds)
        theirs = report["sipp"]["cpu_s_per_call_s"]
        report["cpu_ratio_to_sipp"] = round(figures["cpu_s_per_call_s"] / theirs, 2) if theirs else None
    report["targets"] = targets
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
