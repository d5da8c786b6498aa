"""What the edge and several media processes hold: calls through Kamailio, shared out, each recording compared.

    python bench/cluster.py --calls 1500 --seconds 10 --cps 50 --json

The calls come from bench/load.py in a process of its own; SIP goes through the edge with the configuration we ship, RTP
straight to the media processes. All of it shares this machine's cores with the generator.
"""

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from calls import ANSWER_LIMIT_MS, JITTER_LIMIT_MS, Run, Watch, compare
from report import machine, print_report, progress, target, versions

from demo.edge import OUTSIDE, Edge, find_kamailio
from demo.media_process import HOST, MediaProcess, cpu_seconds
from hotline.errors import UnavailableError

FIRST_RTP_PORT = 20000
TRUNKS = f"{HOST}/32"


def family_cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far (Kamailio is a process for each worker)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return cpu_seconds(pid) + sum(cpu_seconds(int(child)) for child in children)


def measure(run: Run, processes: int, folder: Path) -> dict[str, Any]:
    """Places the calls; the figures of the whole and of each part."""
    limit = run.calls + 1
    media = [
        MediaProcess(
            folder / f"media-{index}",
            HOTLINE_NODE=f"media-{index}",
            HOTLINE_SIP__MAX_CALLS=str(limit),
            HOTLINE_MEDIA__RTP_PORT_MIN=str(FIRST_RTP_PORT + 2 * index * limit),
            HOTLINE_MEDIA__RTP_PORT_MAX=str(FIRST_RTP_PORT + 2 * (index + 1) * limit - 2),
        )
        for index in range(processes)
    ]
    with ExitStack() as stack:
        for process in media:
            stack.enter_context(process)
        edge = stack.enter_context(
            Edge(folder / "edge", [process.sip_port for process in media], EDGE_TRUNKS=TRUNKS, EDGE_CALLS_PER_S="1000")
        )
        watches = [Watch(process.pid) for process in media]
        edge_cpu, machine_cpu, began = family_cpu_s(edge.pid), busy_s(), time.monotonic()
        told = run.place(OUTSIDE, edge.port)
        wall = time.monotonic() - began
        figures: dict[str, Any] = told["figures"]
        call_seconds = figures["call_seconds"]
        edge_cpu = family_cpu_s(edge.pid) - edge_cpu
        parts = []
        recorded = []
        for process, watch in zip(media, watches, strict=True):
            own = process.wait_for_calls(len(process.calls()), timeout_s=30)
            recorded += own
            share = call_seconds * len(own) / max(figures["answered"], 1)
            parts.append({"calls": len(own)} | watch.stop(call_seconds=share))
        return (
            figures
            | {
                "media": parts,
                "edge_cpu_ms_per_call": round(1000 * edge_cpu / max(figures["answered"], 1), 3),
                "machine_busy_cores": round((busy_s() - machine_cpu) / wall, 2),
            }
            | compare(recorded, told["calls"])
        )


def busy_s() -> float:
    """Seconds that all cores together have worked so far (proc(5): stat; idle, waiting and stolen time is not work)."""
    fields = [int(field) for field in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0, help="that all calls are up together")
    parser.add_argument("--cps", type=float, default=50.0, help="new calls a second")
    parser.add_argument("--processes", type=int, default=2, help="media processes")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    run = Run(calls=options.calls, seconds=options.seconds, cps=options.cps)
    progress(f"{run.calls} calls through the edge to {options.processes} media processes ...")
    try:
        find_kamailio()
    except UnavailableError as error:
        parser.exit(2, f"{error.message}: {error.hint}\n")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(run, options.processes, Path(folder))
    lost = figures["lost_calls"] + figures["lost_packets"]
    report = {
        "benchmark": "cluster",
        "machine": machine(),
        "versions": versions("hotline", "sippy", "numpy"),
        "calls": run.calls,
        "seconds": run.seconds,
        "processes": options.processes,
        "cluster": figures,
        "targets": {
            "calls_not_held": target(run.calls - figures["concurrent"], 0, "calls"),
            "send_jitter_p99_ms": target(figures["send_jitter_p99_ms"], JITTER_LIMIT_MS, "ms"),
            "answer_p99_ms": target(figures["answer_p99_ms"], ANSWER_LIMIT_MS, "ms"),
            "lost": target(lost, 0, "calls and packets"),
            "inexact": target(figures["inexact"], 0, "recordings"),
        },
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
