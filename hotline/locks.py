"""Files that processes share: folders they write to, and locks for what only one of them may do on a machine."""

import fcntl
from pathlib import Path
from typing import IO

from hotline.errors import ConfigurationError


def make_folder(path: Path) -> None:
    """Makes the folder and those above it; raises `ConfigurationError` where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def lock_exclusively(path: Path, *, purpose: str) -> IO[str]:
    """Holds the file at `path` locked until the handle is closed or the process ends, however it ends.

    Raises `ConfigurationError` where another process holds it or its folder cannot be written.
    """
    make_folder(path.parent)
    try:
        handle = open(path, "a", encoding="utf-8")  # noqa: SIM115 - the lock lives as long as the handle
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise ConfigurationError(f"{purpose}: another process holds {path}") from error
    return handle


def _unusable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be written: {error.strerror}", hint="give it to the hotline's account, or change data_dir"
    )
