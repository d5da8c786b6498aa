"""Locks between processes: what only one of them may do on a machine."""

import fcntl
from pathlib import Path
from typing import IO

from hotline.errors import ConfigurationError


def lock_exclusively(path: Path, *, purpose: str) -> IO[str]:
    """Holds the file at `path` locked until the handle is closed or the process ends, however it ends.

    Raises `ConfigurationError` where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a", encoding="utf-8")  # noqa: SIM115 - the lock lives as long as the handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise ConfigurationError(f"{purpose}: another process holds {path}") from error
    return handle
