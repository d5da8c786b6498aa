"""What every benchmark prints: one JSON object as the last line, progress on standard error."""

import json
import os
import platform
import sys
from importlib.metadata import version
from typing import Any


def machine() -> dict[str, Any]:
    """The machine and how busy it is."""
    return {
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages a figure depends on."""
    return {name: version(name) for name in packages}


def target(value: float, limit: float, unit: str) -> dict[str, Any]:
    """A figure against its upper limit."""
    return {"value": round(float(value), 4), "limit": limit, "unit": unit, "met": bool(value <= limit)}


def progress(text: str) -> None:
    """Tells a person what is going on."""
    print(text, file=sys.stderr, flush=True)


def print_report(report: dict[str, Any], *, as_json: bool) -> None:
    """One line of JSON, or the same indented for people."""
    print(json.dumps(report, ensure_ascii=False, indent=None if as_json else 2))
