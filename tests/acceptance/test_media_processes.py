"""`hotline serve` with several media processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Product, free_port, wait_for

from ivr.journal import Journal

pytestmark = pytest.mark.slow


def test_a_call_to_each_media_process_becomes_a_ticket_and_a_dead_one_is_back(product_folder: Path) -> None:
    port = free_port(count=2)
    settings = {"HOTLINE_MEDIA__PROCESSES": "2", "HOTLINE_SIP__PORT": str(port)}
    product = Product(product_folder, settings)
    product.start()
    try:
        calls = [product.dial("gas_smell", "--hang-up-after", "8", port=port + index) for index in range(2)]
        assert [call.end()["reason"] for call in calls] == ["hung_up"] * 2
        tickets = product.await_tickets(2)
        rows = product.calls()
        assert sorted(row.node for row in rows) == ["n1", "n1-2"]
        assert {ticket.call_id for ticket in tickets} == {row.id for row in rows}
        for row in rows:  # the number reached the process that has the call
            (journal,) = (product.folder / "recordings").rglob(f"*{row.id}.jsonl")
            told = [entry.data["number"] for entry in Journal.read(journal).all("number")]
            assert told == [ticket.number for ticket in tickets if ticket.call_id == row.id]
        assert product.spooled() == []
        assert sorted(roles(product)) == ["following", "leading"]

        dead = product.pid_of("media")
        assert dead is not None
        os.kill(dead, signal.SIGSTOP)  # as good as dead, and not yet replaced
        assert doctor(product) == 1, "one of two is not enough"
        os.kill(dead, signal.SIGKILL)
        wait_for(lambda: doctor(product) == 0 or None, seconds=10, what="a new media process")
        assert product.process is not None
        assert dead not in children(product.process.pid)
        joined = wait_for(
            lambda: found if len(found := roles(product)) >= 3 else None, seconds=10, what="its successor"
        )
        assert "alone" not in joined
    finally:
        product.stop()


def doctor(product: Product) -> int:
    """What `hotline doctor` says of the media processes: 0 where all answer."""
    command = [sys.executable, "-m", "hotline.cli", "doctor", "--process", "media"]
    return subprocess.run(command, env=product.environment, cwd=product.folder, capture_output=True).returncode


def roles(product: Product) -> list[str]:
    """What the media processes have said of their part in distributing calls."""
    return re.findall(r"queues: (\w+), term", product.log_path.read_text(encoding="utf-8"))


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()}
