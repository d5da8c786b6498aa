"""Hours of calls on a bad network in short: 100 at once with churn, 3 % loss, 60 ms jitter and so reordering.

    python bench/soak.py --minutes 30 --json

Memory, descriptors and RTP ports of the media process are watched, and each recording is set against its call. Growth
of memory is taken between the end of the warm-up (a tenth of the time) and the end, both at full load.
"""

import argparse
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calls import generate, resident_mb
from load import number_of, percentile
from report import machine, print_report, progress, target, versions

from demo.media_process import HOST, MediaProcess, RecordedCall, cpu_seconds

SAMPLE_S = 1.0
SETTLE_S = 3.0
GROWTH_LIMIT = 0.03
LENGTH_LIMIT_MS = 20.0


@dataclass(frozen=True)
class Sample:
    """The media process at a moment."""

    at_s: float
    rss_mb: float
    descriptors: int


class Watch:
    """Samples a process in a thread of its own."""

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.samples.append(self.look())

    def look(self) -> Sample:
        """A sample now."""
        at = time.monotonic() - self._began
        return Sample(at, resident_mb(self._pid), len(list(Path(f"/proc/{self._pid}/fd").iterdir())))

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._thread.join()


def bound_ports(pid: int) -> int:
    """UDP ports that the process holds (/proc/net/udp by the sockets' inodes)."""
    links = [entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[9] in inodes for row in rows)


def lengths(recorded: list[RecordedCall], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """How far each recording's length is from its call's, from the answer's arrival to the BYE, in milliseconds."""
    found = {call.first("opened").get("caller"): call for call in recorded}
    off, missing = [], 0
    for call in calls:
        recording = found.get(number_of(call["number"]))
        if recording is None:
            missing += call["answer_ms"] is not None
        else:
            off.append(abs(len(recording.channels()) / 8.0 - 1000 * call["duration_s"]))
    return {
        "recordings": len(off),
        "missing_recordings": missing,
        "length_off_p50_ms": percentile(off, 50),
        "length_off_p99_ms": percentile(off, 99),
        "length_off_max_ms": percentile(off, 100),
        "length_off_beyond_limit": int((np.array(off) > LENGTH_LIMIT_MS).sum()),
    }


def soak(folder: Path, *, minutes: float, calls: int, seconds: float, loss: float, jitter_ms: float) -> dict[str, Any]:
    """One soak; its figures."""
    with MediaProcess(folder, HOTLINE_SIP__MAX_CALLS=str(2 * calls)) as media:
        idle, ports = len(list(Path(f"/proc/{media.pid}/fd").iterdir())), bound_ports(media.pid)
        cpu, watch = cpu_seconds(media.pid), Watch(media.pid)
        impaired = ["--loss", str(loss), "--jitter", str(jitter_ms), "--no-arrivals"]
        churn = ["--calls", str(calls), "--seconds", str(seconds), "--cps", "20", "--total", str(60 * minutes)]
        told = generate(HOST, media.sip_port, *impaired, *churn, timeout_s=60 * minutes + 2 * seconds + 60)
        watch.stop()
        figures = told["figures"]
        recorded = media.wait_for_calls(figures["answered"], timeout_s=30)
        time.sleep(SETTLE_S)
        left, left_ports = watch.look().descriptors, bound_ports(media.pid)
        loaded = [sample.rss_mb for sample in watch.samples if 6 * minutes <= sample.at_s <= 60 * minutes]
        window = max(1, len(loaded) // 10)
        first, last = float(np.median(loaded[:window])), float(np.median(loaded[-window:]))
        return {
            "calls": len(told["calls"]),
            "concurrent": figures["concurrent"],
            "lost_calls": figures["lost_calls"],
            "packets_sent": figures["packets_sent"],
            "call_seconds": figures["call_seconds"],
            "answer_p99_ms": figures["answer_p99_ms"],
            "cpu_s_per_call_s": round((cpu_seconds(media.pid) - cpu) / max(figures["call_seconds"], 1e-9), 6),
            "rss_mb": {"after_warm_up": round(first, 1), "at_end": round(last, 1)},
            "rss_growth": round(last / first - 1, 4),
            "descriptors": {"before": idle, "most": max(s.descriptors for s in watch.samples), "after": left},
            "udp_ports": {"before": ports, "after": left_ports},
            "generator": figures["generator"],
            **lengths(recorded, told["calls"]),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=100, help="at once")
    parser.add_argument("--seconds", type=float, default=40.0, help="of the longest call; the shortest is a fifth")
    parser.add_argument("--loss", type=float, default=0.03)
    parser.add_argument("--jitter", type=float, default=60.0, help="milliseconds")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    progress(f"{options.calls} calls at once for {options.minutes:g} minutes ...")
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(
            Path(folder),
            minutes=options.minutes,
            calls=options.calls,
            seconds=options.seconds,
            loss=options.loss,
            jitter_ms=options.jitter,
        )
    leaked = figures["descriptors"]["after"] - figures["descriptors"]["before"]
    targets = {
        "rss_growth": target(figures["rss_growth"], GROWTH_LIMIT, "share"),
        "leaked_descriptors": target(leaked, 0, "descriptors"),
        "leaked_ports": target(figures["udp_ports"]["after"] - figures["udp_ports"]["before"], 0, "ports"),
        "lost_calls": target(figures["lost_calls"], 0, "calls"),
        "missing_recordings": target(figures["missing_recordings"], 0, "recordings"),
        "length_off_max_ms": target(figures["length_off_max_ms"] or 0.0, LENGTH_LIMIT_MS, "ms"),
    }
    report = {
        "benchmark": "soak",
        "machine": machine(),
        "versions": versions("hotline", "sippy", "numpy"),
        "minutes": options.minutes,
        "loss": options.loss,
        "jitter_ms": options.jitter,
        **figures,
        "targets": targets,
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
