"""A telephone in a process of its own: dials, listens like a person, speaks a WAV file, presses #, waits for the end.

    python -m demo.phone --to sip:12345@127.0.0.1:5060 --from 13800138000 --caller heating_zhang --json

With `--json` standard output has one JSON object a line: `event` says what happened (`trying`, `ringing`, `answered`,
`heard`, `speaking`, `spoken`, `digit`, `ended`), the last line (`event: "result"`) sums up. Exit status 0: answered and
properly ended.
"""

import argparse
import asyncio
import csv
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.call import CallPlan, Phone
from demo.g711 import FRAME_SAMPLES, SAMPLE_RATE, Law, encode
from demo.listening import LOUD_DBFS, level_dbfs
from demo.rtp import DIGITS
from demo.sip import SipUri
from hotline.errors import HotlineError, InvalidInputError

CALLERS = Path(__file__).parent / "callers"
SPOKEN_OF = {
    "trying": "正在呼叫",
    "ringing": "对方振铃",
    "answered": "已接通",
    "heard": "听到对方说话",
    "speaking": "开始说话",
    "spoken": "说完了",
    "digit": "按键",
    "digit_refused": "对方不收按键",
    "ended": "通话结束",
    "result": "合计",
}


def caller_names() -> tuple[str, ...]:
    """The callers that come with the demonstration."""
    with open(CALLERS / "callers.tsv", encoding="utf-8", newline="") as handle:
        return tuple(row["name"] for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def load_audio(caller: str) -> NDArray[np.int16]:
    """A caller by name, or a WAV file by path: mono, 8 kHz, 16 bit. Raises `InvalidInputError`, also for silence."""
    path = CALLERS / f"{caller}.wav" if caller in caller_names() else Path(caller)
    try:
        with wave.open(str(path), "rb") as wav:
            if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (1, 2, SAMPLE_RATE):
                raise InvalidInputError(
                    f"{path}: mono, 16 bit, {SAMPLE_RATE} Hz needed",
                    hint=f"sox {path} -c 1 -b 16 -r {SAMPLE_RATE} x.wav",
                )
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(np.int16)
    except OSError as error:
        raise InvalidInputError(
            f"no caller {caller!r}: {error.strerror}", hint=f"one of {', '.join(caller_names())}, or a WAV file"
        ) from error
    except (wave.Error, EOFError, ValueError) as error:
        raise InvalidInputError(f"{path}: not a readable WAV file") from error
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if not any(level_dbfs(frame) > LOUD_DBFS for frame in frames):
        raise InvalidInputError(f"{path}: nothing is heard in it")
    return samples


def write_audio(path: Path, samples: NDArray[np.int16], *, sample_rate: int = SAMPLE_RATE) -> None:
    """Writes mono 16-bit WAV."""
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, sample_rate, 0, "NONE", ""))
        wav.writeframes(samples.astype("<i2").tobytes())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.phone", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--to", type=SipUri.parse, required=True, help="sip:12345@127.0.0.1:5060")
    parser.add_argument("--from", dest="caller_id", default="13800138000", help="the caller's number")
    parser.add_argument(
        "--caller", default="", help="name of a caller of the demonstration, or a WAV file; empty: silent"
    )
    parser.add_argument("--codec", choices=["pcma", "pcmu"], default="pcma")
    parser.add_argument("--press", default="#", help="digits pressed after speaking")
    parser.add_argument("--bind", default="", help="own IP address")
    parser.add_argument("--start-after", type=float, help="speak after so many seconds instead of listening")
    parser.add_argument("--quiet-ms", type=float, default=700, help="silence after which it is one's turn")
    parser.add_argument(
        "--hang-up-after", type=float, help="seconds after the last word or digit; default: far end ends"
    )
    parser.add_argument("--limit", type=float, default=300, help="longest call in seconds")
    parser.add_argument("--write-sent", type=Path, help="WAV file of exactly what was sent")
    parser.add_argument("--write-heard", type=Path, help="WAV file of what was heard")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of text")
    arguments = parser.parse_args()
    if set(arguments.press) - set(DIGITS):
        parser.error(f"--press takes {DIGITS}")
    return arguments


async def _main(arguments: argparse.Namespace) -> int:
    law = Law[arguments.codec.upper()]
    plan = CallPlan(
        to=arguments.to,
        caller=arguments.caller_id,
        law=law,
        audio=encode(load_audio(arguments.caller), law) if arguments.caller else b"",
        press=arguments.press,
        bind=arguments.bind,
        start_after=arguments.start_after,
        quiet=arguments.quiet_ms / 1000,
        hang_up_after=arguments.hang_up_after,
        limit=arguments.limit,
    )

    def emit(event: str, data: dict[str, Any]) -> None:
        if arguments.json:
            line = json.dumps({"event": event, **data})
        else:
            line = f"{SPOKEN_OF[event]}  {' '.join(f'{key}={value}' for key, value in data.items())}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    result = await Phone(plan, emit).run()
    if arguments.write_sent:
        write_audio(arguments.write_sent, result.sent)
    if arguments.write_heard:
        write_audio(arguments.write_heard, result.heard)
    emit("result", result.summary())
    return 0 if result.answered and result.reason in ("far_end_hung_up", "hung_up") else 1


def main() -> int:
    """Runs the command line; returns the exit status."""
    try:
        return asyncio.run(_main(_arguments()))
    except HotlineError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}".rstrip() + "\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
