"""The demonstration's phone and the benchmark of calls as commands, against the real media process."""

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from demo.compare import caller_channel_matches
from demo.media_process import MediaProcess

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_the_phone_tells_each_step_and_what_it_sent(media: MediaProcess, tmp_path: Path) -> None:
    sent, heard = tmp_path / "sent.wav", tmp_path / "heard.wav"
    address = f"sip:12345@127.0.0.1:{media.sip_port}"
    caller = ["--caller", "gas_smell", "--from", "13300000001", "--codec", "pcmu"]
    timing = ["--start-after", "0.2", "--hang-up-after", "0.3"]
    files = ["--write-sent", str(sent), "--write-heard", str(heard)]
    ran = run("-m", "demo.phone", "--to", address, *caller, *timing, *files, "--json")
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    names = [event["event"] for event in events if event["event"] not in ("trying", "ringing")]
    assert names == ["answered", "speaking", "spoken", "digit", "ended", "result"]
    assert events[-1]["reason"] == "hung_up"
    assert events[-1]["received"]["lost"] == 0
    call = next(c for c in media.wait_for_calls(1) if c.first("opened")["caller"] == "13300000001")
    with wave.open(str(sent)) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
    assert len(samples) == events[-1]["sent"]["samples"]
    assert caller_channel_matches(call.channels()[:, 0], samples).exact
    assert heard.stat().st_size > 16000
    assert call.first("ended")["reason"] == "caller_hangup"


def test_the_phone_names_the_callers_it_knows() -> None:
    ran = run("-m", "demo.phone", "--to", "sip:12345@127.0.0.1:1", "--caller", "nobody")
    assert ran.returncode == 2
    assert "nobody" in ran.stderr
    assert "heating_zhang" in ran.stderr


def test_the_benchmark_of_calls_loses_nothing_and_compares_every_sample() -> None:
    ran = run("bench/calls.py", "--calls", "3", "--seconds", "1.5", "--no-peer", "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["hotline"]["answered"] == 3
    assert report["hotline"]["two_way"] == 3
    assert report["targets"]["lost"]["met"]
    assert report["targets"]["inexact"]["met"]
    assert report["targets"]["cpu_s_per_call_s"]["limit"] == 0.002
