"""`hotline demo`, as a person or a script runs it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def temporary_folder() -> Iterator[Path]:
    """Where demonstrations put their folders; a short path for the unix socket."""
    with tempfile.TemporaryDirectory(prefix="hotline-") as folder:
        yield Path(folder)


def start_demo(temporary_folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A demonstration in a process of its own, with `--json`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "hotline.cli", "demo", "--json", *arguments],
        env=kept | {"TMPDIR": str(temporary_folder)},
        cwd=temporary_folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )


def end_of(demo: "subprocess.Popen[str]", *, code: int, seconds: float = 100) -> Any:
    """Waits for the end; the object that it printed last, None where it printed nothing."""
    try:
        output, progress = demo.communicate(timeout=seconds)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == code, progress
    assert "Traceback" not in progress
    return json.loads(output.splitlines()[-1]) if output else None


def left_in(temporary_folder: Path) -> list[str]:
    """Folders of demonstrations, and processes that work there."""
    marker = f"TMPDIR={temporary_folder}\0"
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (path / "environ").read_text(errors="replace"):
                processes.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile, or is another account's
    return processes + [path.name for path in temporary_folder.glob("hotline-demo-*")]


def test_a_call_is_shown_as_the_ticket_it_became(temporary_folder: Path) -> None:
    result = end_of(start_demo(temporary_folder, "--caller", "heating_zhang"), code=0)
    ticket = result["ticket"]
    assert (ticket["category"], ticket["tier"]) == ("供暖/煤改电设备", "T2")
    assert (ticket["overlay"], ticket["place"]) == ("coal_to_electric", "张山营镇")
    assert ticket["caller"].startswith("张")
    assert ticket["phone"] == "13800138000"
    assert result["transcript"]["cer"] < 0.2
    recording = result["recording"]
    assert (recording["channels"], recording["sample_rate"]) == (2, 8000)
    assert recording["caller_channel_exact"]
    assert Path(recording["path"]).is_relative_to(temporary_folder)
    assert result["targets"]["hangup_to_ticket_ms"]["limit"] == 5000
    assert result["targets"]["caller_channel_exact"]["met"]
    assert result["machine"]["cores"]
    assert result["versions"]["hotline"]
    assert left_in(temporary_folder) == []


def test_two_that_start_at_once_do_not_meet(temporary_folder: Path) -> None:
    demos = [start_demo(temporary_folder, "--caller", "gas_smell") for _ in range(2)]
    try:
        numbers = [end_of(demo, code=0)["call"]["id"] for demo in demos]
    finally:
        for demo in demos:
            demo.kill()
            demo.wait()
    assert len(set(numbers)) == 2
    assert left_in(temporary_folder) == []


@pytest.mark.parametrize("caller", ["nobody", "../callers/wages_lu", "/dev/null"])
def test_a_caller_who_cannot_be_used_starts_nothing(temporary_folder: Path, caller: str) -> None:
    demo = start_demo(temporary_folder, "--caller", caller)
    assert caller in end_of(demo, code=1)["error"]
    assert list(temporary_folder.iterdir()) == []


def test_an_interrupted_one_leaves_nothing(temporary_folder: Path) -> None:
    demo = start_demo(temporary_folder, "--caller", "gas_smell")
    spool = "hotline-demo-*/spool/demo/*.jsonl"
    wait_for(lambda: next(temporary_folder.glob(spool), None), seconds=60, what="the call")
    demo.send_signal(signal.SIGINT)
    assert end_of(demo, code=130, seconds=20) is None
    assert left_in(temporary_folder) == []
