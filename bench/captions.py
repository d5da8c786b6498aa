"""How far live captions lag behind the speaker: real calls through SIP, RTP, recognizer and broker, as pages get them.

`python bench/captions.py --json [--calls 1 10 20]`. `hotline serve` is started; so many phones at once say a demo
caller in real time and hang up after the last word. A word's lag runs from the moment the packet with its end was due
to the moment a subscriber of the bus got the first caption that reaches as far as the word; "kept" is the share of
words that already read then as in their final. A final's lag runs from its last word; hang-up to last: from BYE to the
event that says that nothing follows. Intervals are those between changes of an utterance's partial captions.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions
from sqlalchemy import select

from asr.batch import read_channel
from asr.models import Transcript
from asr.recognizer import Word
from demo.call import CallPlan, CallResult, Phone
from demo.compare import caller_channel_matches
from demo.g711 import SAMPLE_RATE, Law, encode
from demo.media_process import HOST, cpu_seconds
from demo.phone import caller_names, load_audio
from demo.product import Product, wait_for
from demo.sip import SipUri
from hotline.bus import Event, ValkeyBus
from hotline.db import Database

SPEAK_AFTER_S = 0.6
STAGGER_S = 0.13  # callers do not speak in step
COUNTS = (1, 10, 20)
WORD_LIMIT_S, LAST_LIMIT_S = 0.7, 0.8


@dataclass
class BenchCall:
    """One phone: what it did when, in seconds of the monotonic clock, and what the bus told of it."""

    number: str
    name: str
    moments: dict[str, float] = field(default_factory=dict)
    result: CallResult | None = None
    events: list[tuple[float, Event]] = field(default_factory=list)

    async def place(self, port: int, *, after: float) -> None:
        """Calls, speaks, hangs up."""
        await asyncio.sleep(after)
        plan = CallPlan(
            to=SipUri.parse(f"sip:12345@{HOST}:{port}"),
            caller=self.number,
            audio=encode(load_audio(self.name), Law.PCMA),
            press="",
            start_after=SPEAK_AFTER_S,
            hang_up_after=0.0,
        )
        self.result = await Phone(plan, self._note).run()

    def _note(self, event: str, _data: dict[str, Any]) -> None:
        self.moments.setdefault(event, time.monotonic())

    def told(self, name: str) -> list[tuple[float, str]]:
        """When events of a name came about the caller, and their texts."""
        return [
            (at, str(event.data.get("text", "")))
            for at, event in self.events
            if event.name == name and event.data.get("speaker") == "caller"
        ]


class Follower:
    """Reads call and caption events, each with its time of arrival, for the numbers of `calls`."""

    def __init__(self, bus: ValkeyBus, calls: list[BenchCall]) -> None:
        self._subscription = bus.subscribe("call", "caption")
        self._subscription.get(0.01)  # the first read subscribes
        self._by_number = {call.number: call for call in calls}
        self.by_id: dict[str, BenchCall] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            event = self._subscription.get(0.2)
            if event is None:
                continue
            at, call_id = time.monotonic(), str(event.data.get("call_id"))
            if event.name == "call.answered" and (call := self._by_number.get(str(event.data["caller"]))):
                self.by_id[call_id] = call
            if call_id in self.by_id:
                self.by_id[call_id].events.append((at, event))

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._subscription.close()


def words_of(database: Database, call_id: str) -> list[list[Word]]:
    """The words of each of the caller's utterances as the live captions had them."""
    with database.transaction() as session:
        transcript = session.scalars(
            select(Transcript).where(Transcript.call_id == call_id, Transcript.origin == "live")
        ).one()
        return [[Word(*word) for word in row.words] for row in transcript.segments if row.speaker == "caller"]


def lags(call: BenchCall, utterances: list[list[Word]], lead_ms: float) -> dict[str, list[float]]:
    """Of each word and each final, in seconds; `lead_ms`: where the phone's first packet lies in the recording."""
    partials, finals = call.told("caption.partial"), call.told("caption.final")
    found: dict[str, list[float]] = {"word": [], "kept": [], "final": [], "interval": []}
    since = 0.0
    for (final_at, _), words in zip(finals, utterances, strict=True):
        shown = [(at, text) for at, text in partials if since < at <= final_at]
        found["interval"] += [later - earlier for (earlier, _), (later, _) in pairwise(shown)]
        shown.append((final_at, "".join(word.text for word in words)))
        reach = 0
        for word in words:
            begin, reach = reach, reach + len(word.text)
            at, text = next(item for item in shown if len(item[1]) >= reach)
            found["word"].append(at - spoken(call, word, lead_ms))
            found["kept"].append(float(word.text in text[max(0, begin - 2) : reach + 2]))
        if final_at < call.moments["spoken"]:  # the last one is made by the hang-up
            found["final"].append(final_at - spoken(call, words[-1], lead_ms))
        since = final_at
    return found


def spoken(call: BenchCall, word: Word, lead_ms: float) -> float:
    """When the packet with the word's end was due."""
    return call.moments["answered"] + (word.end_ms - lead_ms) / 1000


def measure(product: Product, bus: ValkeyBus, count: int) -> dict[str, Any]:
    """`count` calls at once."""
    names = caller_names()
    calls = [BenchCall(f"138{count:04d}{index:04d}", names[index % len(names)]) for index in range(count)]
    recognizer = product.pid_of("recognizer")
    assert recognizer is not None
    follower = Follower(bus, calls)
    try:
        cpu = cpu_seconds(recognizer)

        async def run() -> None:
            await asyncio.gather(
                *(call.place(product.sip_port, after=index * STAGGER_S) for index, call in enumerate(calls))
            )

        asyncio.run(run())
        wait_for(
            lambda: True if all(call.told("caption.ended") for call in calls) else None,
            seconds=15,
            what="last captions",
        )
        cpu = cpu_seconds(recognizer) - cpu
    finally:
        follower.close()
    return figures(product, follower.by_id, cpu)


def figures(product: Product, calls: dict[str, BenchCall], cpu: float) -> dict[str, Any]:
    """What became of the calls."""
    pooled: dict[str, list[float]] = {"word": [], "kept": [], "final": [], "interval": [], "last": []}
    complete, audio_s = 0, 0.0
    with closing(Database(product.database_url)) as database:
        for call_id, call in calls.items():
            audio = wait_for(lambda call_id=call_id: recording(product, call_id), seconds=30, what="a recording")  # type: ignore[misc]
            assert call.result is not None
            ended = next((at, event) for at, event in call.events if event.name == "caption.ended")
            pooled["last"].append(ended[0] - call.moments["spoken"])
            audio_s += len(call.result.sent) / SAMPLE_RATE
            if ended[1].data["complete"]:
                complete += 1
                lead = caller_channel_matches(audio, call.result.sent).offset
                for key, values in lags(call, words_of(database, call_id), 1000 * lead / SAMPLE_RATE).items():
                    pooled[key] += values
    return {
        "calls": len(calls),
        "complete": complete,
        "word_lag_s": percentiles(pooled["word"]),
        "word_kept": round(float(np.mean(pooled["kept"])), 3) if pooled["kept"] else None,
        "final_lag_s": percentiles(pooled["final"]),
        "partial_interval_s": percentiles(pooled["interval"]),
        "hang_up_to_last_s": percentiles(pooled["last"]),
        "recognizer_cpu_s_per_call_s": round(cpu / audio_s, 4),
    }


def recording(product: Product, call_id: str) -> "np.ndarray[Any, np.dtype[np.int16]] | None":
    """The caller's channel of a call that has become rows."""
    for item in product.recordings():
        if item.call_id == call_id:
            pcm, _ = read_channel(product.folder / "recordings" / item.path, 0)
            return np.frombuffer(pcm, "<i2").astype(np.int16)
    return None


def percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    p50, p95 = map(float, np.percentile(values, [50, 95]))
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(max(values), 3), "count": len(values)}


def worst(runs: list[dict[str, Any]], key: str) -> float:
    """The largest 95th percentile; a minute where a run has none, for no call was complete."""
    return max(float(run[key].get("p95", 60.0)) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, nargs="+", default=COUNTS)
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(prefix="captions-") as folder:
        product = Product(Path(folder), {"HOTLINE_ASR__MAX_LIVE_CALLS": str(max(arguments.calls))})
        product.start()
        try:
            with closing(ValkeyBus(f"unix://{folder}/valkey/valkey.sock")) as bus:
                for count in arguments.calls:
                    runs.append(measure(product, bus, count))
                    progress(f"{count} calls: {runs[-1]}")
        finally:
            product.stop()
    report = {
        "benchmark": "captions",
        "machine": machine(),
        "versions": versions("vosk", "websockets", "soxr"),
        "runs": runs,
        "targets": {
            "word_lag_p95": target(worst(runs, "word_lag_s"), WORD_LIMIT_S, "s"),
            "hang_up_to_last_p95": target(worst(runs, "hang_up_to_last_s"), LAST_LIMIT_S, "s"),
            "incomplete_calls": target(sum(run["calls"] - run["complete"] for run in runs), 0, "calls"),
        },
    }
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    main()
