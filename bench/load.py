"""A load generator: thousands of SIP calls with two-way RTP from one process, and what came back of them.

    python bench/load.py --to 127.0.0.1:5060 --calls 1000 --seconds 10 --cps 50 --json

One loop of 5 ms steps: callers speak in four groups a quarter of a frame apart, so packets do not arrive all at once.
A packet is a function of (slot, frame), so what the network does to it only says which pairs are sent when. Jitter and
answer times are taken between kernel timestamps; the generator's own lateness and drops are reported beside them.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import socket
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from load_network import Network
from load_sip import T1_S, T2_S, TIMEOUT_S, Dialog, Message
from load_sockets import HEADER, PACKET_SIZE, SO_TIMESTAMPNS, BatchSocket, addresses
from load_speech import FRAME_SAMPLES, Speech, key_of, number_of, payloads
from numpy.typing import NDArray

HOST = "127.0.0.1"
FRAME_S = 0.02
GROUPS = 4
STEP_S = FRAME_S / GROUPS
CALLS_A_SOCKET = 32
TAIL_S = 0.3  # silence before the hang-up, longer than a jitter buffer holds packets back
SETTLE_S = 1.0
NICE = -10
TIMESPEC_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to do. With `total_s` calls last between a fifth of `seconds` and all of it, and each is followed by another
    until so long has passed; without, each slot has one call. `loss`, `duplicates`: shares of packets; `jitter_ms`:
    most delay, drawn anew for each packet, so that they overtake each other. `speech`: WAVs
    that the callers say in turn, over and over."""

    host: str
    port: int
    calls: int
    seconds: float
    cps: float
    total_s: float = 0.0
    loss: float = 0.0
    jitter_ms: float = 0.0
    duplicates: float = 0.0
    speech: tuple[Path, ...] = ()
    echo: bool = False  # the far end echoes all calls from one port: told apart by their SSRC
    keep_arrivals: bool = True


@dataclass
class Call:
    """One call's life and figures; times in monotonic seconds, or in nanoseconds since 1970."""

    number: int
    slot: int
    seconds: float
    dialog: Dialog
    state: str = "inviting"  # up, ending, then finished with a reason
    reason: str = ""
    status: int = 0
    invited_ns: int = 0
    answer_ms: float | None = None
    answered_ns: int = 0
    hang_up_at: float = 0.0
    duration_s: float = 0.0
    frames: int = 0
    audio_port: int = 0
    request: bytes = b""
    resend_at: float | None = None
    resend_wait: float = T1_S
    give_up_at: float = 0.0


@dataclass(frozen=True)
class CallResult:
    """`reason`: hung_up, far_end_hung_up, refused, no_answer, no_answer_to_bye. `answered_at`: when the 200 came (unix
    time, 0: it did not); `duration_s`: from then until the BYE left or came."""

    number: int
    call_id: str
    reason: str
    status: int
    answer_ms: float | None
    answered_at: float
    duration_s: float
    frames: int


@dataclass
class LoadResult:
    """Raw figures of a run; `lateness_ms` of received packets against the earliest of their call."""

    calls: list[CallResult] = field(default_factory=list)
    concurrent: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    lost: int = 0
    skipped: int = 0
    unmatched: int = 0
    late_ticks: int = 0
    lateness_ms: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    steps_late_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    own_drops: int = 0
    injected: dict[str, int] = field(default_factory=dict)


class Generator:
    """One run. Tables over slots; a slot holds one call at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.result = LoadResult()
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((HOST, 0))
        self._sip.setblocking(False)
        self._sip.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._sip.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._server = (load.host, load.port)
        per_group = -(-load.calls // GROUPS)
        count = GROUPS * -(-per_group // CALLS_A_SOCKET)
        self._sockets = [BatchSocket(HOST) for _ in range(count)]
        slots = np.arange(load.calls)
        self._socket_of = slots % count  # the socket's index modulo GROUPS is the slot's group
        self._members = [np.flatnonzero(slots % GROUPS == group) for group in range(GROUPS)]
        self._keys = np.zeros((load.calls, FRAME_SAMPLES), dtype=np.uint8)
        self._next_frame = np.zeros(load.calls, np.int64)
        self._last_frame = np.zeros(load.calls, np.int64)
        self._talking = np.zeros(load.calls, bool)
        self._destinations = addresses(load.host, load.calls)
        self._slot_of_port = np.full(65536, -1, np.int64)
        self._current: dict[str, Call] = {}
        self._free = deque(range(load.calls))
        self._begun = 0
        self._run_id = f"{random.getrandbits(48):012x}"
        self._random = np.random.default_rng(1)
        self._network = Network(
            loss=load.loss,
            duplicates=load.duplicates,
            most_steps=int(load.jitter_ms / 1000 / STEP_S),
            slots=load.calls,
        )
        self._speech = Speech(load.speech) if load.speech else None
        self._arrivals: list[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]] = []

    def run(self) -> LoadResult:
        """Places all calls and returns when the last one ended."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection is a late step
        load, began = self.load, time.monotonic()
        cpu, step, late = _own_cpu_s(), 0, self.result.steps_late_ms
        idle_since = None
        while True:
            due = began + step * STEP_S
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            now = time.monotonic()
            late.append((now - due) * 1000)
            self._read_sip(now)
            self._begin_calls(now, now - began)
            self._keep_time(now)
            self.result.concurrent = max(self.result.concurrent, int(self._talking.sum()))
            self._speak(step % GROUPS)
            self._listen()
            step += 1
            if self._current or not self._over(now - began):
                idle_since = None
            elif idle_since is None:
                idle_since = now
            elif now - idle_since > SETTLE_S:
                break
        result = self.result
        result.cpu_s, result.wall_s = _own_cpu_s() - cpu, time.monotonic() - began
        result.own_drops = sum(endpoint.dropped() for endpoint in self._sockets)
        result.injected = {
            "lost": self._network.lost,
            "doubled": self._network.doubled,
            "overtaken": self._network.overtaken,
        }
        if load.keep_arrivals and self._arrivals:
            self._judge_arrivals()
        return result

    # Signalling

    def _over(self, elapsed: float) -> bool:
        """Whether no further call begins."""
        return elapsed > self.load.total_s if self.load.total_s else self._begun >= self.load.calls

    def _begin_calls(self, now: float, elapsed: float) -> None:
        load = self.load
        while self._free and self._begun < elapsed * load.cps + 1 and not self._over(elapsed):
            number, slot = self._begun, self._free.popleft()
            self._begun += 1
            self._keys[slot] = key_of(number)
            share = 0.2 + 0.8 * float(self._random.random()) if load.total_s else 1.0
            dialog = Dialog(
                call_id=f"{number}.{self._run_id}",
                caller=number_of(number),
                number=number + 1,
                host=HOST,
                port=self._sip.getsockname()[1],
                rtp_port=self._sockets[self._socket_of[slot]].port,
                server=f"{load.host}:{load.port}",
            )
            call = Call(number=number, slot=slot, seconds=load.seconds * share, dialog=dialog)
            self._current[dialog.call_id] = call
            call.invited_ns = time.time_ns()
            self._ask(call, dialog.request("INVITE", 1), now)

    def _ask(self, call: Call, request: bytes, now: float) -> None:
        call.request, call.resend_wait = request, T1_S
        call.resend_at, call.give_up_at = now + T1_S, now + TIMEOUT_S
        self._send_sip(request)

    def _send_sip(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._sip.sendto(data, self._server)

    def _read_sip(self, now: float) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._sip.recvmsg(8192, socket.CMSG_SPACE(TIMESPEC_BYTES))
            except OSError:
                return
            message = Message.parse(data)
            if message is None:
                continue
            stamp = np.frombuffer(ancillary[0][2], np.int64)
            at_ns = int(stamp[0]) * 1_000_000_000 + int(stamp[1])
            call = self._current.get(message.call_id)
            if message.status:
                self._on_response(call, message, now, at_ns)
            elif message.method != "ACK":
                self._send_sip(message.ok())
                if message.method == "BYE" and call is not None:
                    call.duration_s = (at_ns - call.answered_ns) / 1e9
                    self._finish(call, "far_end_hung_up")

    def _on_response(self, call: Call | None, message: Message, now: float, at_ns: int) -> None:
        if call is None:
            return
        if message.method == "BYE" and message.status >= 200:
            self._finish(call, "hung_up")
        elif message.method == "INVITE" and message.status < 200:
            call.resend_at = None
        elif message.method == "INVITE" and message.status < 300:
            call.dialog.to_tag, call.dialog.target = message.to_tag, message.contact
            call.dialog.routes = message.routes
            self._send_sip(call.dialog.request("ACK", 1))
            if call.state == "inviting":
                self._answered(call, message, now, at_ns)
        elif message.method == "INVITE":
            call.dialog.to_tag, call.status = message.to_tag, message.status
            self._send_sip(call.dialog.refused())
            if call.state == "inviting":
                self._finish(call, "refused")

    def _answered(self, call: Call, message: Message, now: float, at_ns: int) -> None:
        slot = call.slot
        call.state, call.resend_at = "up", None
        call.status, call.audio_port = message.status, message.audio_port
        call.answer_ms, call.answered_ns = (at_ns - call.invited_ns) / 1e6, at_ns
        call.frames = round(call.seconds / FRAME_S)
        call.hang_up_at = now + call.frames * FRAME_S + TAIL_S
        self._destinations[slot] = addresses(message.audio_host or self.load.host, 1)[0]
        self._destinations["port"][slot] = call.audio_port
        self._slot_of_port[call.audio_port] = slot
        self._next_frame[slot], self._last_frame[slot] = 0, call.frames
        self._network.begin(slot)
        self._talking[slot] = True

    def _keep_time(self, now: float) -> None:
        for call in list(self._current.values()):
            if call.state == "up" and now >= call.hang_up_at:
                call.state, call.duration_s = "ending", (time.time_ns() - call.answered_ns) / 1e9
                self._talking[call.slot] = False
                self._ask(call, call.dialog.request("BYE", 2), now)
            elif call.resend_at is not None and now >= call.give_up_at:
                self._finish(call, "no_answer" if call.state == "inviting" else "no_answer_to_bye")
            elif call.resend_at is not None and now >= call.resend_at:
                call.resend_wait = 2 * call.resend_wait if call.state == "inviting" else min(2 * call.resend_wait, T2_S)
                call.resend_at = now + call.resend_wait
                self._send_sip(call.request)

    def _finish(self, call: Call, reason: str) -> None:
        self._talking[call.slot] = False
        self._slot_of_port[call.audio_port] = -1
        del self._current[call.dialog.call_id]
        if self.load.total_s:
            self._free.append(call.slot)
        self.result.calls.append(
            CallResult(
                number=call.number,
                call_id=call.dialog.call_id,
                reason=reason,
                status=call.status,
                answer_ms=call.answer_ms,
                answered_at=call.answered_ns / 1e9,
                duration_s=call.duration_s,
                frames=call.frames,
            )
        )

    # Media

    def _speak(self, group: int) -> None:
        """Makes the group's next frames and sends what is due now."""
        slots = self._members[group]
        slots = slots[self._talking[slots] & (self._next_frame[slots] < self._last_frame[slots])]
        pairs = np.stack([slots, self._next_frame[slots]])
        self._next_frame[slots] += 1
        pairs = self._network.step(pairs)
        pairs = pairs[:, self._talking[pairs[0]]]
        if pairs.shape[1]:
            self._send_frames(*pairs)

    def _send_frames(self, slots: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
        order = np.argsort(self._socket_of[slots], kind="stable")
        slots, frames = slots[order], frames[order]
        packets = np.zeros((len(slots), PACKET_SIZE), np.uint8)
        headers = packets[:, : HEADER.itemsize].view(HEADER)[:, 0]
        headers["flags"] = 0x80
        headers["type"] = 8
        headers["sequence"] = frames & 0xFFFF
        headers["timestamp"] = frames * FRAME_SAMPLES & 0xFFFFFFFF
        headers["ssrc"] = slots + 1
        said = payloads(self._keys[slots], frames) if self._speech is None else self._speech.payloads(slots, frames)
        packets[:, HEADER.itemsize :] = said
        destinations = self._destinations[slots]
        sockets = self._socket_of[slots]
        edges = [0, *(np.flatnonzero(np.diff(sockets)) + 1).tolist(), len(slots)]
        for begin, end in pairwise(edges):
            endpoint = self._sockets[int(sockets[begin])]
            self.result.packets_sent += endpoint.send(packets[begin:end], destinations[begin:end])

    def _listen(self) -> None:
        result = self.result
        for endpoint in self._sockets:
            while (arrived := endpoint.receive()) is not None:
                if self.load.echo:
                    slots = arrived.headers["ssrc"].astype(np.int64) - 1
                    slots[slots >= self.load.calls] = -1
                else:
                    slots = self._slot_of_port[arrived.ports]
                known = (slots >= 0) & (arrived.lengths >= HEADER.itemsize) & (arrived.headers["type"] & 0x7F == 8)
                result.unmatched += int((~known).sum())
                result.packets_received += int(known.sum())
                if self.load.keep_arrivals:
                    self._arrivals.append((slots[known], arrived.headers[known], arrived.times[known]))

    def _judge_arrivals(self) -> None:
        """Loss from sequence numbers, lateness against the earliest packet of the call by RTP timestamp."""
        slots = np.concatenate([chunk[0] for chunk in self._arrivals])
        headers = np.concatenate([chunk[1] for chunk in self._arrivals])
        times = np.concatenate([chunk[2] for chunk in self._arrivals])
        order = np.argsort(slots, kind="stable")
        edges = np.flatnonzero(np.diff(slots[order], prepend=-1, append=-1))
        lateness = np.zeros(len(slots))
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            mine = order[begin:end]
            first = headers[mine[0]]
            steps = (headers["sequence"][mine].astype(np.int64) - int(first["sequence"])).astype(np.int16)
            self.result.lost += int(steps.max()) - int(steps.min()) + 1 - len(np.unique(steps))
            media = (headers["timestamp"][mine].astype(np.int64) - int(first["timestamp"])).astype(np.int32) / 8.0
            played = int(media.max() - media.min()) // 20 + 1
            self.result.skipped += max(0, played - (int(steps.max()) - int(steps.min()) + 1))
            late = (times[mine] - times[mine[0]]) / 1e6 - media
            lateness[mine] = late - late.min()
        self.result.lateness_ms = lateness
        nominal = times / 1e6 - lateness
        ticks = np.round((nominal - nominal.min()) / (FRAME_S * 1000)).astype(np.int64)
        least = np.full(int(ticks.max()) + 1, np.inf)
        np.minimum.at(least, ticks, lateness)
        self.result.late_ticks = int((least[np.isfinite(least)] >= FRAME_S * 1000).sum())


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def percentile(values: Any, share: float) -> float | None:
    """Rounded; None of nothing."""
    return round(float(np.percentile(values, share)), 3) if len(values) else None


def figures(result: LoadResult) -> dict[str, Any]:
    """The run in figures that any server has. A late tick is one whose packets all left 20 ms late or later; a skipped
    frame was never sent, as the RTP timestamps tell."""
    answers = [call.answer_ms for call in result.calls if call.answer_ms is not None]
    call_seconds = sum(call.duration_s for call in result.calls)
    return {
        "answered": len(answers),
        "concurrent": result.concurrent,
        "lost_calls": sum(call.reason != "hung_up" for call in result.calls),
        "lost_packets": result.lost,
        "skipped_frames": result.skipped,
        "packets_sent": result.packets_sent,
        "packets_received": result.packets_received,
        "unmatched_packets": result.unmatched,
        "injected": result.injected,
        "late_ticks": result.late_ticks,
        "send_jitter_p50_ms": percentile(result.lateness_ms, 50),
        "send_jitter_p99_ms": percentile(result.lateness_ms, 99),
        "send_jitter_max_ms": percentile(result.lateness_ms, 100),
        "answer_p50_ms": percentile(answers, 50),
        "answer_p99_ms": percentile(answers, 99),
        "call_seconds": round(call_seconds, 1),
        "wall_s": round(result.wall_s, 1),
        "generator": {
            "cpu_s_per_call_s": round(result.cpu_s / max(call_seconds, 1e-9), 6),
            "cores": round(result.cpu_s / max(result.wall_s, 1e-9), 3),
            "late_p99_ms": percentile(result.steps_late_ms, 99),
            "late_max_ms": percentile(result.steps_late_ms, 100),
            "dropped": result.own_drops,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--to", required=True, help="HOST:PORT of the server, numeric")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each call's speech")
    parser.add_argument("--cps", type=float, default=50.0, help="new calls a second")
    parser.add_argument("--total", type=float, default=0.0, help="place calls anew for so many seconds")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets not sent, 0 to 1")
    parser.add_argument("--jitter", type=float, default=0.0, help="most milliseconds a packet is held back")
    parser.add_argument("--duplicates", type=float, default=0.0, help="share of packets sent twice, 0 to 1")
    parser.add_argument(
        "--speech",
        type=Path,
        nargs="+",
        default=(),
        help="WAVs (mono, 8 kHz, 16 bit) that the callers say",
    )
    parser.add_argument("--echo", action="store_true", help="the server echoes from one port")
    parser.add_argument("--no-arrivals", action="store_true", help="no jitter and loss figures: for long runs")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line, each call included")
    options = parser.parse_args()
    host, _, port = options.to.rpartition(":")
    load = Load(
        host=host,
        port=int(port),
        calls=options.calls,
        seconds=options.seconds,
        cps=options.cps,
        total_s=options.total,
        loss=options.loss,
        jitter_ms=options.jitter,
        duplicates=options.duplicates,
        speech=tuple(options.speech),
        echo=options.echo,
        keep_arrivals=not options.no_arrivals,
    )
    result = Generator(load).run()
    told: dict[str, Any] = figures(result)
    if options.json:
        print(json.dumps({"figures": told, "calls": [asdict(call) for call in result.calls]}))
    else:
        print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
