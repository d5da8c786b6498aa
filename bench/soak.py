"""Hours of calls on a bad network in short: churn, and lost, late, reordered and doubled packets.

    python bench/soak.py --minutes 30 --calls 100 --seconds 40 --json

Memory, descriptors and RTP ports of the media process are watched, and the length of each recording is set against its
call's time on the wire, between the kernel's time of the 200's arrival and the BYE's departure. Growth of memory is
taken between the end of the warm-up (a sixth of the time, and until every slot has had its first call) and the end,
both at full load: SIP remembers calls for half a minute, and the heap finds its size in the first minutes. What the
network did to the packets is counted as it was done: `injected`.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calls import bound_ports, descriptors, generate, resident_mb
from load import percentile
from report import machine, print_report, progress, target, versions

from demo.media_process import HOST, MediaProcess, RecordedCall
from hotline.settings import Settings
from hotline.supervisor import valkey_command

CPS = 20.0
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
        return Sample(at, resident_mb(self._pid), descriptors(self._pid))

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._thread.join()


def growth(samples: list[Sample], *, warm_up_s: float, total_s: float) -> dict[str, Any]:
    """Medians of the first and the last tenth of the samples at full load, and the growth between them."""
    loaded = [sample.rss_mb for sample in samples if warm_up_s <= sample.at_s <= total_s]
    window = max(1, len(loaded) // 10)
    first, last = float(np.median(loaded[:window])), float(np.median(loaded[-window:]))
    return {
        "rss_mb": {"after_warm_up": round(first, 1), "at_end": round(last, 1)},
        "rss_mb_by_tenth": [round(float(np.median(part)), 1) for part in np.array_split(np.array(loaded), 10)],
        "rss_growth": round(last / first - 1, 4),
    }


def lengths(recorded: list[RecordedCall], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """How far each recording's length is from its call's, from the answer's arrival to the BYE, in milliseconds."""
    found = {call.first("opened").get("sip_call_id"): call for call in recorded}
    off, missing = [], 0
    for call in calls:
        recording = found.get(call["call_id"])
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


@contextmanager
def broker(folder: Path) -> Iterator[None]:
    """The bundled Valkey where the media process looks for it: without one its unsent messages would be the growth."""
    settings = Settings(data_dir=folder)
    settings.valkey_socket.parent.mkdir(parents=True)
    process = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Soak:
    """What is done for how long; `loss` and `duplicates` are shares of packets."""

    minutes: float
    calls: int
    seconds: float
    loss: float
    duplicates: float
    jitter_ms: float

    @property
    def total_s(self) -> float:
        return 60 * self.minutes

    @property
    def warm_up_s(self) -> float:
        return max(self.total_s / 6, self.calls / CPS + self.seconds)

    def options(self) -> list[str]:
        """The generator's."""
        impaired = ["--loss", self.loss, "--duplicates", self.duplicates, "--jitter", self.jitter_ms, "--no-arrivals"]
        churn = ["--calls", self.calls, "--seconds", self.seconds, "--cps", CPS, "--total", self.total_s]
        return [str(option) for option in (*impaired, *churn)]

    def run(self, folder: Path) -> dict[str, Any]:
        """All of it; its figures."""
        with broker(folder), MediaProcess(folder, HOTLINE_SIP__MAX_CALLS=str(2 * self.calls)) as media:
            generate(HOST, media.sip_port, "--calls", "1", "--seconds", "1", timeout_s=60)
            media.wait_for_calls(1)  # what the first call opens, such as connections to the broker, stays
            idle, ports, cpu, watch = (
                descriptors(media.pid),
                bound_ports(media.pid),
                media.cpu_seconds(),
                Watch(media.pid),
            )
            timeout_s = self.total_s + 2 * self.seconds + 60
            told = generate(HOST, media.sip_port, *self.options(), timeout_s=timeout_s)
            watch.stop()
            figures = told["figures"]
            recorded = media.wait_for_calls(1 + figures["answered"], timeout_s=30)
            time.sleep(SETTLE_S)
            copied = (
                "concurrent",
                "lost_calls",
                "packets_sent",
                "injected",
                "call_seconds",
                "answer_p99_ms",
                "generator",
            )
            return {
                "calls": len(told["calls"]),
                **{name: figures[name] for name in copied},
                "cpu_s_per_call_s": round((media.cpu_seconds() - cpu) / max(figures["call_seconds"], 1e-9), 6),
                **growth(watch.samples, warm_up_s=self.warm_up_s, total_s=self.total_s),
                "descriptors": {
                    "before": idle,
                    "most": max(sample.descriptors for sample in watch.samples),
                    "after": descriptors(media.pid),
                },
                "udp_ports": {"before": ports, "after": bound_ports(media.pid)},
                **lengths(recorded, told["calls"]),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--calls", type=int, default=20, help="at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the longest call; the shortest is a fifth")
    parser.add_argument("--loss", type=float, default=0.03)
    parser.add_argument("--duplicates", type=float, default=0.01)
    parser.add_argument("--jitter", type=float, default=60.0, help="milliseconds")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    soak = Soak(
        minutes=options.minutes,
        calls=options.calls,
        seconds=options.seconds,
        loss=options.loss,
        duplicates=options.duplicates,
        jitter_ms=options.jitter,
    )
    if soak.total_s < soak.warm_up_s + 10 * SAMPLE_S:
        parser.error(f"--minutes: {soak.warm_up_s:g} s of warm-up leave no time to measure")
    progress(f"{soak.calls} calls at once for {soak.minutes:g} minutes ...")
    with tempfile.TemporaryDirectory() as folder:
        figures = soak.run(Path(folder))
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
        "soak": asdict(soak),
        **figures,
        "targets": targets,
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
