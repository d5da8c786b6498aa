"""Locks between processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError
from hotline.locks import lock_exclusively

HOLDER = """
import sys, pathlib
from hotline.locks import lock_exclusively
handle = lock_exclusively(pathlib.Path(sys.argv[1]), purpose="held")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first = lock_exclusively(tmp_path / "deep/.lock", purpose="first")
    with pytest.raises(ConfigurationError, match="second"):
        lock_exclusively(tmp_path / "deep/.lock", purpose="second")
    first.close()
    lock_exclusively(tmp_path / "deep/.lock", purpose="third").close()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError):
            lock_exclusively(path, purpose="too early")
        holder.kill()
        holder.wait()
        lock_exclusively(path, purpose="after it").close()


def test_a_folder_that_cannot_be_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="/proc/hotline") as caught:
        lock_exclusively(Path("/proc/hotline/.lock"), purpose="any")
    assert "data_dir" in caught.value.hint
