"""kill -9 of the media process under load, again and again: what is left of the calls that it held.

    python bench/survival.py --calls 50 --kills 10 --json

The whole product runs (`hotline serve`). Each round has callers who talk without a pause; when all are on the line the
media process is killed, and the next round begins as soon as its successor answers, while the callers of the last one
still talk to closed ports. At the end what the generator knows (which calls were answered, and when) is set against
rows, tickets and recordings: how long each is, and whether it holds what the caller said up to its last sample.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calls import GENERATOR, bound_ports, descriptors
from load import percentile
from load_speech import speech_frames
from report import machine, print_report, progress, target, versions

from demo.compare import caller_channel_matches
from demo.g711 import SAMPLE_RATE, Law, decode
from demo.media_process import HOST, answers
from demo.phone import CALLERS
from demo.product import Product, wait_for
from hotline.errors import UnavailableError

SPEECH = CALLERS / "heating_zhang.wav"
BACK_LIMIT_S = 5.0
LENGTH_LIMIT_S = 1.0
SPARE_S = 0.3  # what a recording may begin late, and jitter buffers hold
TALK_S = (3.0, 6.0)  # between the last answer and the death
RESTART_S = 60.0


@dataclass(frozen=True)
class Death:
    """A kill: its unix time, and the seconds until calls were answered again."""

    at: float
    back_after_s: float


def kill_once(product: Product, calls: int, cps: float) -> tuple[Death, "subprocess.Popen[bytes]"]:
    """One round; the generator still runs when it is over."""
    talk_s = random.uniform(*TALK_S)
    each_s = calls / cps + talk_s + 2.0
    command = [
        *(sys.executable, str(GENERATOR), "--to", f"{HOST}:{product.sip_port}", "--json", "--no-arrivals"),
        *("--calls", str(calls), "--cps", str(cps), "--seconds", str(each_s), "--speech", str(SPEECH)),
    ]
    generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for(lambda: True if _open_calls(product) >= calls else None, seconds=calls / cps + 10, what=f"{calls} calls")
    time.sleep(talk_s)
    product.kill("media")
    at = time.time()
    wait_for(lambda: True if answers(product.sip_port) else None, seconds=RESTART_S, what="a new media process")
    death = Death(at, time.time() - at)
    progress(f"killed after {talk_s:.1f} s of talk, back after {death.back_after_s:.1f} s")
    return death, generator


def _open_calls(product: Product) -> int:
    return sum(not journal.closed and journal.first("answered") is not None for journal in product.spooled())


@dataclass(frozen=True)
class Kept:
    """What is left of a call: how far its length is from its life, and whether it holds what the caller said."""

    playable: bool
    off_s: float
    exact: bool


def kept(path: Path, life_s: float, said: "np.ndarray[Any, np.dtype[np.int16]]") -> Kept:
    """Judges a recording. `said` is one round of the speech, which the caller repeats."""
    try:
        with wave.open(str(path), "rb") as wav:
            assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, SAMPLE_RATE)
            stereo = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    except (OSError, EOFError, wave.Error, AssertionError, ValueError):
        return Kept(playable=False, off_s=life_s, exact=False)
    sure = max(0, len(stereo) - int(SPARE_S * SAMPLE_RATE))
    match = caller_channel_matches(stereo[:, 0], np.resize(said, sure))
    return Kept(playable=True, off_s=abs(len(stereo) / SAMPLE_RATE - life_s), exact=match.exact)


def judge(product: Product, deaths: list[Death], called: list[dict[str, Any]]) -> dict[str, Any]:
    """The calls that were answered against what the product kept of them."""
    said = decode(speech_frames(SPEECH).tobytes(), Law.PCMA)
    rows = {row.sip_call_id: row for row in product.calls()}
    times = Counter(row.sip_call_id for row in product.calls())
    recordings = {row.call_id: product.folder / "recordings" / row.path for row in product.recordings()}
    tickets = Counter(ticket.call_id for ticket in product.tickets())
    answered = [call for call in called if call["answered_at"]]
    cut: list[Kept] = []
    live: Counter[float] = Counter()
    for call in answered:
        begun = call["answered_at"]
        death = next((d.at for d in deaths if begun < d.at < begun + call["duration_s"]), None)
        row = rows.get(call["call_id"])
        if death is None:
            continue
        live[death] += 1
        path = recordings.get(row.id) if row is not None else None
        cut.append(kept(path or Path(), death - begun, said))
    ids = {row.id for name, row in rows.items() if name in {call["call_id"] for call in answered}}
    return {
        "answered": len(answered),
        "cut_short": len(cut),
        "fewest_at_death": min((live[death.at] for death in deaths), default=0),
        "without_row": sum(call["call_id"] not in rows for call in answered),
        "rows_twice": sum(count > 1 for count in times.values()),
        "without_ticket": sum(tickets[call_id] == 0 for call_id in ids),
        "tickets_twice": sum(count > 1 for count in tickets.values()),
        "unplayable": sum(not one.playable for one in cut),
        "inexact": sum(not one.exact for one in cut),
        "length_off_p50_s": percentile([one.off_s for one in cut], 50),
        "length_off_max_s": percentile([one.off_s for one in cut], 100),
        "end_reasons": dict(Counter(row.end_reason for row in rows.values())),
    }


def survive(folder: Path, *, calls: int, kills: int, cps: float) -> dict[str, Any]:
    """All rounds; their figures."""
    product = Product(folder, {"HOTLINE_SIP__MAX_CALLS": str(2 * calls)})
    product.start()
    try:
        before = _held(product)
        rounds = [kill_once(product, calls, cps) for _ in range(kills)]
        called = [call for _, generator in rounds for call in _told(generator)]
        progress("waiting for the tickets ...")
        began = time.monotonic()
        left = _wait_for_empty_spool(product, seconds=60 + 2.0 * calls * kills)
        tickets_after_s = time.monotonic() - began
        after = _held(product)
        deaths = [death for death, _ in rounds]
        return {
            **judge(product, deaths, called),
            "left_in_spool": left,
            "tickets_after_s": round(tickets_after_s, 1),
            "back_after_s": [round(death.back_after_s, 2) for death in deaths],
            "held_before": before,
            "held_after": after,
        }
    finally:
        product.stop()


def _told(generator: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    out, _ = generator.communicate(timeout=120)
    calls: list[dict[str, Any]] = json.loads(out.splitlines()[-1])["calls"]
    return calls


def _wait_for_empty_spool(product: Product, *, seconds: float) -> int:
    """Files of calls that still lie in the spool when all should be rows."""
    with contextlib.suppress(UnavailableError):
        wait_for(lambda: True if not product.spooled() else None, seconds=seconds, what="an empty spool")
    return sum(path.suffix in (".jsonl", ".wav") for path in product.folder.glob("spool/*/*"))


def _held(product: Product) -> dict[str, int]:
    media = product.pid_of("media")
    assert media is not None
    return {
        "supervisor_descriptors": descriptors(product.pid),
        "media_ports": bound_ports(media),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=10, help="at each death")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--cps", type=float, default=25.0, help="new calls a second")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotline-", ignore_cleanup_errors=True) as folder:
        figures = survive(Path(folder), calls=options.calls, kills=options.kills, cps=options.cps)
    targets = {
        "missing_at_death": target(options.calls - figures["fewest_at_death"], 0, "calls"),
        "length_off_max_s": target(figures["length_off_max_s"] or 0.0, LENGTH_LIMIT_S, "s"),
        "back_after_max_s": target(max(figures["back_after_s"], default=0.0), BACK_LIMIT_S, "s"),
    }
    nothing = ("without_row", "rows_twice", "without_ticket", "tickets_twice", "unplayable", "inexact", "left_in_spool")
    targets |= {name: target(figures[name], 0, "calls") for name in nothing}
    targets |= {
        f"leaked_{name}": target(figures["held_after"][name] - held, 0, "descriptors")
        for name, held in figures["held_before"].items()
    }
    report = {
        "benchmark": "survival",
        "machine": machine(),
        "versions": versions("hotline", "sippy", "numpy"),
        "calls": options.calls,
        "kills": options.kills,
        **figures,
        "targets": targets,
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
