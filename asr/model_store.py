"""The site's recognition models: `<data>/models/NAME`, each whole or not there, and which one is in use."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.catalogue import DISK_ERRORS, sha256_of
from asr.engines.directory import file_sizes
from asr.engines.loading import check_model
from asr.unpack import unpack
from hotline.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from hotline.settings import CHOSEN_MODEL

HASHES = "SHA256SUMS"
DOWNLOADS = ".downloads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ModelStore:
    """Models in `folder`, each with the hashes of its files beside them."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """`max_bytes`: of an unpacked model."""
        self._folder = folder
        self._max_bytes = max_bytes

    @property
    def downloads(self) -> Path:
        """Where archives wait until they are whole."""
        return self._folder / DOWNLOADS

    @property
    def names(self) -> list[str]:
        """The installed models."""
        if not self._folder.is_dir():
            return []
        folders = (path for path in self._folder.iterdir() if path.is_dir() and not path.is_symlink())
        return sorted(path.name for path in folders if _NAME.fullmatch(path.name))

    @property
    def chosen(self) -> str:
        """The model in use; empty where none was chosen."""
        link = self._folder / CHOSEN_MODEL
        return os.readlink(link) if link.is_symlink() else ""

    def install(self, source: Path, name: str = "") -> Path:
        """Puts in a model from an archive or a directory, as `name` or as it is called there.

        It appears whole or not at all. Raises `ConflictError` where there is one of that name, `InvalidInputError`
        for a broken or hostile archive, `ConfigurationError` for what is no model, `UnavailableError` for a full disk.
        """
        if not source.exists():
            raise NotFoundError(f"no file or directory {source}")
        with self._workshop() as workshop:
            if source.is_dir():
                model = workshop / "model"
                self._copy(source, model)
                name = name or source.resolve().name
            else:
                unpack(source, workshop, max_bytes=self._max_bytes)
                model = _model_root(workshop)
                name = name or (model.name if model != workshop else source.name.partition(".")[0])
            target = self._target(name)
            if target.exists():
                raise ConflictError(f"there is a model {name} already", hint=f"remove {target} first")
            check_model(model)
            write_hashes(model)
            model.rename(target)
        return target

    def verify(self, name: str) -> int:
        """Compares a model's files with their hashes of when it was put in; returns their number.

        Raises `NotFoundError`, or `InvalidInputError` naming what is missing, changed or new.
        """
        target = self._existing(name)
        faults, count = compare_hashes(target)
        if faults:
            raise InvalidInputError(f"the model {name} is damaged: {'; '.join(faults)}", hint="install it again")
        return count

    def use(self, name: str) -> None:
        """From its next start on a recognizer loads this model; raises as `verify` and `ConfigurationError`."""
        target = self._existing(name)
        self.verify(name)
        check_model(target)
        link = self._folder / f".{CHOSEN_MODEL}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(self._folder / CHOSEN_MODEL)

    def use_bundled(self) -> None:
        """Undoes every choice: the bundled demo model is in use again."""
        (self._folder / CHOSEN_MODEL).unlink(missing_ok=True)

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A folder on the models' disk, gone afterwards."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-", ignore_cleanup_errors=True) as name:
                yield Path(name)
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise UnavailableError(f"the disk of {self._folder} is full: {error.strerror}") from error
            raise InvalidInputError(f"the model cannot be put into {self._folder}: {error}") from error

    def _copy(self, source: Path, target: Path) -> None:
        if any(path.is_symlink() for path in source.rglob("*")):
            raise InvalidInputError(f"{source} holds links: name the directory they lead to")
        sizes = file_sizes(source)
        if sum(sizes.values()) > self._max_bytes:
            raise InvalidInputError(f"{source} has more than {self._max_bytes} bytes")
        target.mkdir()
        for name in sizes.keys() - {HASHES}:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)

    def _existing(self, name: str) -> Path:
        target = self._target(name)
        if name not in self.names:
            there = ", ".join(self.names) or "none"
            raise NotFoundError(f"no model {name} is installed", hint=f"there are: {there}; `hotline models fetch`")
        return target

    def _target(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name == CHOSEN_MODEL:
            raise InvalidInputError(f"{name[:80]!r} is no name of a model: letters, digits, . _ -")
        return self._folder / name


def write_hashes(model: Path) -> None:
    """Records the hashes of a model's files in it, as sha256sum(1) writes and reads them."""
    lines = [f"{sha256_of(model / name)}  {name}\n" for name in sorted(file_sizes(model)) if name != HASHES]
    with (model / HASHES).open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def compare_hashes(model: Path) -> tuple[list[str], int]:
    """What differs from the recorded hashes, and how many files are recorded."""
    try:
        lines = (model / HASHES).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [f"its hashes cannot be read: {error}"], 0
    recorded = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = set(file_sizes(model)) - {HASHES}
    faults = [f"{name} is missing" for name in sorted(recorded.keys() - there)]
    faults += [f"{name} is new" for name in sorted(there - recorded.keys())]
    faults += [
        f"{name} has changed" for name in sorted(there & recorded.keys()) if sha256_of(model / name) != recorded[name]
    ]
    return faults, len(recorded)


def _model_root(folder: Path) -> Path:
    """The folder that most archives have around everything, or the place itself."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
