"""Text files of the site that commands change while processes read them: written whole, former versions kept."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from hotline.errors import ConfigurationError, ConflictError, HotlineError
from hotline.locks import make_folder

log = logging.getLogger(__name__)
T = TypeVar("T")
VERSIONS_KEPT = 50
_Stamp = tuple[int, int, int]


class SiteFile:
    """One file and what it held before, in `<name>.versions/` beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.with_name(f"{path.name}.versions")

    def change(self, edit: Callable[[str], str]) -> bool:
        """Writes what `edit` makes of the text (empty where there is no file), one writer at a time.

        False where it stays the same. Raises what `edit` raises and `ConfigurationError` where it cannot be written.
        """
        make_folder(self.path.parent)
        try:
            with open(self.path.with_name(f".{self.path.name}.lock"), "a", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                before = self._read()
                after = edit(before)
                if after == before:
                    return False
                self._keep(before)
                _write(self.path, after)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be changed: {error.strerror}") from error
        return True

    def undo(self) -> None:
        """Takes the last change back; raises `ConflictError` where nothing is left to take back."""
        versions = self._versions()
        if not versions:
            raise ConflictError(f"no former version of {self.path} is kept")
        try:
            _write(self.path, versions[-1].read_text("utf-8"))
            versions[-1].unlink()
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be changed: {error.strerror}") from error

    def _read(self) -> str:
        return self.path.read_text("utf-8") if self.path.exists() else ""

    def _versions(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*"))

    def _keep(self, text: str) -> None:
        self._folder.mkdir(exist_ok=True)
        versions = self._versions()
        number = int(versions[-1].stem) + 1 if versions else 1
        _write(self._folder / f"{number:06d}{self.path.suffix}", text)
        for old in versions[: max(0, len(versions) + 1 - VERSIONS_KEPT)]:
            old.unlink()


class Watched(Generic[T]):
    """What files say, read again when one of them has changed. What cannot be read then leaves what was known.

    `load` is called at once; it raises for files that are wrong from the start.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[], T]) -> None:
        self._paths = tuple(paths)
        self._load = load
        self._stamps = self._look()
        self._value = load()

    def get(self) -> T:
        """The newest; costs a `stat` a file."""
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._value = self._load()
            except HotlineError as error:
                log.error("what was known before is used on: %s", error)
        return self._value

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _write(path: Path, text: str) -> None:
    """The whole file at once, readable to other accounts of the same group as the umask says."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        os.fchmod(handle, 0o640)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
