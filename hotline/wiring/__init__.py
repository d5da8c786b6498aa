"""Puts the packages together: one module for each process of the product, loaded by the process that runs it."""

import importlib
import threading

from hotline.probes import PROCESSES
from hotline.settings import Settings


def run_process(process: str, settings: Settings, stop: threading.Event) -> None:
    """Runs `process` (one of `PROCESSES`) in the foreground until `stop` is set, then ends within a few seconds."""
    if process not in PROCESSES:
        raise ValueError(f"no process {process}")
    importlib.import_module(f"hotline.wiring.{process}").run(settings, stop)
