"""A real call becomes a ticket, whatever process dies meanwhile."""

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from conftest import ROOT, Product, wait_for

pytestmark = pytest.mark.slow


def test_a_call_becomes_a_ticket_with_the_number_the_caller_heard(product: Product) -> None:
    call = product.dial("street_light")
    result = call.end()
    assert result["reason"] == "far_end_hung_up"
    (ticket,) = product.await_tickets(1)
    assert ticket.state == "to_dispatch"
    assert ticket.phone == "13800138000"
    assert ticket.category
    (row,) = product.calls()
    assert row.end_reason == "completed"
    said = [prompt["text"] for prompt in row.details["entries"] if prompt["kind"] == "prompt"]
    assert any(ticket.number in text and ticket.lookup_code in text for text in said)
    assert product.spooled() == []


def test_a_call_survives_the_death_of_any_other_process(product: Product) -> None:
    for count, name in enumerate(("recognizer", "worker", "console", "valkey"), start=1):
        call = product.dial("gas_smell", "--hang-up-after", "1")
        call.until("speaking")
        dead = product.kill(name)
        result = call.end()
        assert result["reason"] == "hung_up", name
        assert result["received"]["lost"] == 0, name  # type: ignore[index]
        tickets = product.await_tickets(count, seconds=90)
        assert tickets[-1].title, name
        wait_for(
            lambda name=name, dead=dead: True if product.pid_of(name) not in (None, dead) else None,  # type: ignore[misc]
            seconds=10,
            what=f"a new {name}",
        )
    assert len(product.tickets()) == 4
    assert len({ticket.call_id for ticket in product.tickets()}) == 4


def test_a_call_cut_short_by_the_death_of_media_is_kept(product: Product) -> None:
    call = product.dial("street_light", "--limit", "25")
    call.until("spoken")
    product.kill("media")
    (ticket,) = product.await_tickets(1, seconds=90)
    call.process.kill()
    call.process.wait()
    assert call.process.stdout is not None
    call.process.stdout.close()
    assert ticket.title
    (row,) = product.calls()
    assert row.end_reason == "media_crashed"
    assert row.duration_ms > 10_000
    (path,) = Path(product.folder, "recordings").rglob("*.wav")
    with wave.open(str(path), "rb") as wav:
        assert (wav.getnchannels(), wav.getframerate()) == (2, 8000)
        assert abs(wav.getnframes() / 8 - row.duration_ms) < 50


def test_other_accounts_cannot_read_what_is_kept_of_a_call(product: Product) -> None:
    product.dial("gas_smell", "--hang-up-after", "1").end()
    product.await_tickets(1)
    kept = set(product.folder.rglob("*")) - {product.log_path, *product.folder.glob("certificates/*")}
    assert {".wav", ".db", ".sock"} <= {path.suffix for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o007] == []


def test_stopping_takes_less_than_five_seconds_and_leaves_no_process(product: Product) -> None:
    call = product.dial("street_light")
    call.until("speaking")
    pids = [product.pid_of(name) for name in ("valkey", "media", "recognizer", "worker", "console")]
    assert None not in pids
    assert product.stop() < 5
    assert call.end()["reason"] == "far_end_hung_up"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert all(journal.closed for journal in product.spooled())


def test_killing_the_supervisor_takes_its_processes_along(product: Product) -> None:
    pids = [product.pid_of(name) for name in ("valkey", "media", "recognizer", "worker", "console")]
    assert product.process is not None
    os.kill(product.process.pid, signal.SIGKILL)
    product.process.wait()
    wait_for(
        lambda: True if not any(Path(f"/proc/{pid}").exists() for pid in pids) else None,
        seconds=10,
        what="the end of all processes",
    )
    product.start()


def test_a_second_start_is_refused_and_leaves_calls_alone(product: Product) -> None:
    call = product.dial("gas_smell", "--hang-up-after", "1")
    call.until("speaking")
    for command in (("serve",), ("run", "media")):
        second = subprocess.run(
            [sys.executable, "-m", "hotline.cli", *command],
            env=product.environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 1
        assert "already" in second.stderr
        assert "Traceback" not in second.stderr
    assert call.end()["reason"] == "hung_up"
    product.await_tickets(1)
    (row,) = product.calls()
    assert row.end_reason == "caller_hangup"


def test_calls_that_media_held_when_it_was_killed_are_kept_to_the_last_second() -> None:
    command = [sys.executable, "bench/survival.py", "--calls", "8", "--kills", "2", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["cut_short"] >= 16
    assert report["end_reasons"]["media_crashed"] == report["cut_short"]
    missed = {name: one for name, one in report["targets"].items() if not one["met"]}
    missed.pop("back_after_max_s", None)  # how fast this machine starts a process is another matter
    assert missed == {}
