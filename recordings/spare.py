"""The spare spool: where a recording goes on when the disk of its own fails or is full.

The recording moves as a whole and a symbolic link takes its place, so whoever reads the spool finds it. `adopt_spare`
mends what a crash on the way left behind.
"""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_PIECE = 1 << 20


def copy_to_spare(file: int | None, target: Path, *, size: int) -> int:
    """A new file `target` with the first `size` octets of an open one, on the disk when this returns; opened for both.

    Raises OSError, and leaves no file then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        position = 0
        while file is not None and position < size:
            piece = os.pread(file, min(_PIECE, size - position), position)
            if not piece:
                raise OSError(f"the recording ends at {position} of {size} octets")
            while piece:
                written = os.pwrite(copy, piece, position)
                piece, position = piece[written:], position + written
        os.fsync(copy)
    except OSError:
        os.close(copy)
        target.unlink(missing_ok=True)
        raise
    return copy


def link_to_spare(path: Path, target: Path) -> None:
    """Puts a link to `target` in the place of `path`, which frees the room that it took; raises OSError."""
    path.unlink(missing_ok=True)
    path.symlink_to(target.resolve())


def remove_recording(path: Path) -> None:
    """Removes a recording and, where it moved, the link to it; nothing happens where there is none."""
    if path.is_symlink():
        path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def adopt_spare(spool: Path, spare: Path) -> None:
    """Links every recording in a node's spare folder from its spool; one that was still being copied is not needed."""
    for target in sorted(spare.glob("*.wav")):
        path = spool / target.name
        if path.is_symlink():
            continue
        try:
            if path.exists():
                target.unlink()
            else:
                link_to_spare(path, target)
        except OSError as error:
            log.error("recording %s waits in the spare spool for the next start: %s", target, error)
