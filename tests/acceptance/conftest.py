"""The whole product as processes, as `hotline serve` runs it, and a phone that calls it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.media_process import free_port
from demo.product import Product as Running
from demo.product import wait_for

__all__ = ["DialledCall", "Product", "free_port", "wait_for"]

ROOT = Path(__file__).resolve().parents[2]


class Product(Running):
    """A product that demo phones call."""

    def dial(self, caller: str, *options: str, port: int | None = None) -> "DialledCall":
        """A call from a phone in a process of its own."""
        return DialledCall(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "demo.phone", "--json", "--caller", caller, "--from", "13800138000"),
                    *("--to", f"sip:12345@127.0.0.1:{port or self.sip_port}", *options),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
        )


@dataclass
class DialledCall:
    """A phone at work."""

    process: "subprocess.Popen[str]"
    events: list[dict[str, object]] = field(default_factory=list)

    def until(self, name: str) -> dict[str, object]:
        """Reads the phone's events until one is called `name`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == name:
                return self.events[-1]
        raise AssertionError(f"the phone ended without {name}: {self.events}")

    def end(self) -> dict[str, object]:
        """The call's last event; the phone's process is over."""
        result = self.until("result")
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait(10)
        return result


@pytest.fixture
def product_folder() -> Iterator[Path]:
    """A short path: a unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hotline-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def product(product_folder: Path) -> Iterator[Product]:
    """A product that answers calls."""
    running = Product(product_folder)
    running.start()
    yield running
    running.stop()
