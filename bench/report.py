"""What every benchmark prints: one JSON object as the last line, progress on standard error."""

import json
import sys
from typing import Any

from hotline.report import machine, target, versions

__all__ = ["machine", "print_report", "progress", "target", "versions"]


def progress(text: str) -> None:
    """Tells a person what is going on."""
    print(text, file=sys.stderr, flush=True)


def print_report(report: dict[str, Any], *, as_json: bool) -> None:
    """One line of JSON, or the same indented for people."""
    print(json.dumps(report, ensure_ascii=False, indent=None if as_json else 2))
