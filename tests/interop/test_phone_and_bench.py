"""The demonstration's phone and the benchmark of calls as commands, against the real media process."""

import json
import socket
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


def test_the_benchmark_of_calls_compares_every_recording() -> None:
    ran = run("bench/calls.py", "--calls", "9", "--seconds", "1", "--cps", "30", "--no-peer", "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout.splitlines()[-1])
    figures = report["hotline"]
    assert figures["answered"] == figures["recordings"] == figures["two_way"] == 9
    assert figures["lost_calls"] == figures["lost_packets"] == figures["inexact"] == 0
    assert figures["concurrent"] == 9
    assert figures["packets_sent"] == 9 * 65  # a second together, and 0.3 s to begin all
    assert figures["packets_received"] >= 9 * 65
    assert {"cpu_s_per_call_s", "send_jitter_p99_ms", "answer_p99_ms", "lost", "inexact"} == report["targets"].keys()


def test_the_load_generator_says_what_the_network_did_to_its_packets(media: MediaProcess) -> None:
    impaired = ("--loss", "0.2", "--jitter", "60", "--calls", "4", "--seconds", "2")
    ran = run("bench/load.py", "--to", f"127.0.0.1:{media.sip_port}", *impaired, "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert {call["reason"] for call in told["calls"]} == {"hung_up"}
    assert 0 < 4 * 100 - told["figures"]["packets_sent"] < 4 * 50


def test_the_load_generator_repeats_an_invite_and_counts_a_refusal() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        generator = subprocess.Popen(
            [sys.executable, "bench/load.py", "--to", address, "--calls", "1", "--json"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        invite, source = server.recvfrom(4096)
        again, _ = server.recvfrom(4096)
        assert again == invite
        headers = [
            line for line in invite.split(b"\r\n") if line.startswith((b"Via", b"From", b"To", b"Call", b"CSeq"))
        ]
        server.sendto(b"\r\n".join([b"SIP/2.0 486 Busy Here", *headers, b"", b""]), source)
        ack, _ = server.recvfrom(4096)
        assert ack.startswith(b"ACK ")
        told = json.loads(generator.communicate(timeout=20)[0].splitlines()[-1])
    assert [(call["reason"], call["status"]) for call in told["calls"]] == [("refused", 486)]
    assert told["figures"]["lost_calls"] == 1
