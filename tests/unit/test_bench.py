"""What the repository promises about its benchmarks: `make bench` runs all of them, and each starts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = "load"
"""A command, and no benchmark: others run it, and it must be told whom to call."""
BENCHES = sorted(
    path.stem
    for path in (ROOT / "bench").glob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8") and path.stem != GENERATOR
)


def test_make_bench_runs_every_benchmark() -> None:
    listed = re.search(r"^BENCHES := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert listed is not None
    assert sorted(listed[1].split()) == BENCHES


@pytest.mark.parametrize("name", [*BENCHES, GENERATOR])
def test_benchmark_starts_and_says_what_it_is(name: str) -> None:
    command = [sys.executable, f"bench/{name}.py", "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "--json" in ran.stdout
