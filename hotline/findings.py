"""What `hotline doctor` finds, and the short check of one process.

A container's health check runs that every few seconds, so this loads no more than it asks.
"""

from dataclasses import dataclass
from typing import Literal

from hotline.bus import ValkeyBus
from hotline.errors import UnavailableError
from hotline.probes import PROCESSES, probe
from hotline.settings import Settings


@dataclass(frozen=True)
class Finding:
    """The state of one thing; `hint` says how to mend it."""

    level: Literal["ok", "warning", "error"]
    subject: str
    message: str
    hint: str = ""


def examine_process(process: str, settings: Settings) -> Finding:
    """Whether one running process does its work."""
    if process not in PROCESSES:
        return Finding("error", process, "没有这个进程", f"可选: {', '.join(PROCESSES)}")
    bus = ValkeyBus(settings.effective_valkey_url())
    try:
        probe(process, settings, bus)
    except UnavailableError as error:
        return Finding("error", process, error.message, "看它的日志；`hotline serve` 会自动重启它")
    finally:
        bus.close()
    return Finding("ok", process, "正常")
