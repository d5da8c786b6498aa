"""What a measurement says besides its figures: on which machine, with which versions, and against which limits."""

import os
import platform
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
