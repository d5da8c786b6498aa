"""What a call costs: concurrent two-way recorded calls over loopback, each recording compared with what was sent.

    python bench/calls.py --calls 1000 --seconds 10 --cps 50 --json
    python bench/calls.py --table

The calls come from bench/load.py in a process of its own; the media process is started alone, or with `--to` another
server is called (then its CPU time and recordings are out of reach). The peer is SIPp, which answers the same calls and
echoes their packets without decoding, mixing or recording.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from load import percentile
from load_speech import key_of, number_of, payloads
from report import machine, print_report, progress, target, versions

from demo.compare import caller_channel_matches
from demo.g711 import SAMPLE_RATE, Law, decode
from demo.media_process import HOST, MediaProcess, RecordedCall, cpu_seconds, free_port

TABLE = (10, 50, 100, 200, 400, 600, 800, 1000)
CPU_LIMIT = 0.0008
JITTER_LIMIT_MS = 10.0
ANSWER_LIMIT_MS = 50.0
SAMPLE_S = 0.5
GENERATOR = Path(__file__).with_name("load.py")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Watch:
    """What the kernel says of a process while it works: highest memory and threads, CPU time by thread."""

    pid: int
    rss_mb: float = 0.0
    threads: int = 0
    descriptors: int = 0
    started: dict[tuple[int, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.thread_cpu_s()
        self._cpu_s = cpu_seconds(self.pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while True:
            self.look()
            if self._over.wait(SAMPLE_S):
                return

    def look(self) -> None:
        """Takes a sample."""
        self.rss_mb = max(self.rss_mb, resident_mb(self.pid))
        self.threads = max(self.threads, len(os.listdir(f"/proc/{self.pid}/task")))
        self.descriptors = max(self.descriptors, descriptors(self.pid))

    def thread_cpu_s(self) -> dict[tuple[int, str], float]:
        """CPU seconds of each thread so far and what it is: the first is signalling, one of raised priority the engine
        (proc(5): fields 14, 15 and 19 of stat)."""
        spent = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it ended
                fields = (task / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
                thread = int(task.name)
                part = "signalling" if thread == self.pid else "engine" if int(fields[16]) < 0 else "others"
                spent[thread, part] = (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
        return spent

    def stop(self, *, call_seconds: float) -> dict[str, Any]:
        """The figures since the start."""
        self._over.set()
        self._thread.join()
        shares = dict.fromkeys(("signalling", "engine", "others"), 0.0)
        for thread, spent in self.thread_cpu_s().items():
            shares[thread[1]] += spent - self.started.get(thread, 0.0)
        call_seconds = max(call_seconds, 1e-9)
        return {
            "cpu_s_per_call_s": round((cpu_seconds(self.pid) - self._cpu_s) / call_seconds, 6),
            "cpu_s_per_call_s_by_thread": {part: round(spent / call_seconds, 6) for part, spent in shares.items()},
            "rss_mb": round(self.rss_mb, 1),
            "threads": self.threads,
            "descriptors": self.descriptors,
        }


def resident_mb(pid: int) -> float:
    """Memory of a process in RAM (proc(5): the second field of statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / (1 << 20)


def bound_ports(pid: int) -> int:
    """UDP ports that a process holds (/proc/net/udp by the sockets' inodes)."""
    links = [entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[9] in inodes for row in rows)


def descriptors(pid: int) -> int:
    """Files and sockets that a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def generate(host: str, port: int, *options: str, timeout_s: float) -> dict[str, Any]:
    """Runs the generator; its figures and calls."""
    command = [sys.executable, str(GENERATOR), "--to", f"{host}:{port}", "--json", *options]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=timeout_s, check=True)
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


@dataclass(frozen=True)
class Run:
    """One load: `calls` begun at `cps` a second, all up together for `seconds`, ended as they began."""

    calls: int
    seconds: float
    cps: float

    def place(self, host: str, port: int, *extra: str) -> dict[str, Any]:
        """All calls against a server."""
        each = self.seconds + self.calls / self.cps
        options = ["--calls", str(self.calls), "--seconds", str(each), "--cps", str(self.cps), *extra]
        return generate(host, port, *options, timeout_s=each + self.calls / self.cps + 90)

    def product(self) -> dict[str, Any]:
        """The calls against the media process, recordings compared."""
        with (
            tempfile.TemporaryDirectory() as folder,
            MediaProcess(Path(folder), HOTLINE_SIP__MAX_CALLS=str(self.calls + 1)) as media,
        ):
            idle = idle_cpu(media.pid)
            watch = Watch(media.pid)
            told = self.place(HOST, media.sip_port)
            recorded = media.wait_for_calls(told["figures"]["answered"], timeout_s=30)
            figures: dict[str, Any] = told["figures"] | watch.stop(call_seconds=told["figures"]["call_seconds"])
            return figures | {"idle_cpu_s_per_s": idle} | compare(recorded, told["calls"])

    def sipp(self) -> dict[str, Any]:
        """The calls against SIPp's echo."""
        with sipp_echo() as (pid, port):
            watch = Watch(pid)
            figures: dict[str, Any] = self.place(HOST, port, "--echo")["figures"]
            return figures | watch.stop(call_seconds=figures["call_seconds"])


def compare(recorded: list[RecordedCall], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Sets each recording's caller channel against what that caller sent."""
    found = {call.first("opened").get("caller"): call for call in recorded}
    inexact, offsets, two_way = 0, [], 0
    for call in calls:
        recording = found.get(number_of(call["number"]))
        if recording is None:
            inexact += 1
            continue
        stereo = recording.channels()
        sent = decode(payloads(key_of(call["number"])[None], np.arange(call["frames"])).tobytes(), Law.PCMA)
        match = caller_channel_matches(stereo[:, 0], sent)
        offsets.append(match.offset / SAMPLE_RATE * 1000)
        two_way += bool(np.abs(stereo[:, 1]).max(initial=0) > 1000)
        if not match.exact:
            inexact += 1
            progress(f"caller {number_of(call['number'])}: {100 * match.ratio:.3f} % of the samples as sent")
    return {
        "recordings": len(found),
        "two_way": two_way,
        "inexact": inexact,
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


def targets_of(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures that have limits."""
    lost = figures["lost_calls"] + figures["lost_packets"] + figures["skipped_frames"]
    targets = {
        "send_jitter_p99_ms": target(_or_worst(figures["send_jitter_p99_ms"]), JITTER_LIMIT_MS, "ms"),
        "answer_p99_ms": target(_or_worst(figures["answer_p99_ms"]), ANSWER_LIMIT_MS, "ms"),
        "lost": target(lost, 0, "calls, packets and frames"),
    }
    if "inexact" in figures:
        targets["cpu_s_per_call_s"] = target(figures["cpu_s_per_call_s"], CPU_LIMIT, "cpu_s_per_call_s")
        targets["inexact"] = target(figures["inexact"], 0, "recordings")
    return targets


def _or_worst(value: float | None) -> float:
    """Nothing measured meets no limit."""
    return float("1e9") if value is None else value


def growth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Cores over calls as a straight line: what the process costs in itself, and what each further call adds."""
    calls = np.array([row["calls"] for row in rows], float)
    cost = np.array([row["hotline"]["cpu_s_per_call_s"] for row in rows])
    slope, base = np.polyfit(calls, cost * calls, 1)
    return {"cores_at_rest": round(float(base), 4), "cores_per_call": round(float(slope), 6)}


def tell(row: dict[str, Any]) -> None:
    """A line of the table, for people."""
    for name in ("hotline", "sipp"):
        if (figures := row.get(name)) is not None:
            progress(
                f"{name:8} {row['calls']:5} calls  {1000 * figures['cpu_s_per_call_s']:6.3f} ms/s  jitter p50/p99/max "
                f"{figures['send_jitter_p50_ms']}/{figures['send_jitter_p99_ms']}/{figures['send_jitter_max_ms']} ms  "
                f"answer p50/p99 {figures['answer_p50_ms']}/{figures['answer_p99_ms']} ms  "
                f"lost {figures['lost_calls']} calls {figures['lost_packets']} packets "
                f"{figures['skipped_frames']} frames  "
                f"inexact {figures.get('inexact', '-')}  late ticks {figures['late_ticks']}  "
                f"generator late p99 {figures['generator']['late_p99_ms']} ms"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long all calls are up together")
    parser.add_argument("--cps", type=float, default=50.0, help="new calls a second")
    parser.add_argument("--to", help="HOST:PORT of a server that runs already")
    parser.add_argument("--table", action="store_true", help=f"one run each of {', '.join(map(str, TABLE))} calls")
    parser.add_argument("--no-peer", action="store_true", help="leave SIPp out")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "benchmark": "calls",
        "machine": machine(),
        "versions": versions("hotline", "sippy", "numpy"),
        "seconds": arguments.seconds,
        "cps": arguments.cps,
    }
    with_peer = not arguments.no_peer and not arguments.to and shutil.which("sipp") is not None
    rows: list[dict[str, Any]] = []
    for calls in TABLE if arguments.table else (arguments.calls,):
        run = Run(calls, arguments.seconds, arguments.cps)
        if arguments.to:
            host, _, port = arguments.to.partition(":")
            row = {"calls": calls, "hotline": run.place(host, int(port or 5060))["figures"]}
        else:
            row = {"calls": calls, "hotline": run.product()}
        if with_peer:
            row["sipp"] = run.sipp()
            theirs = row["sipp"]["cpu_s_per_call_s"]
            row["cpu_ratio_to_sipp"] = round(row["hotline"]["cpu_s_per_call_s"] / theirs, 2) if theirs else None
        rows.append(row)
        if not arguments.to:
            tell(row)
    if arguments.table and not arguments.to:
        report |= {"table": rows, "growth": growth(rows)}
    else:
        report |= rows[-1]
    report["targets"] = targets_of(rows[-1]["hotline"])
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
