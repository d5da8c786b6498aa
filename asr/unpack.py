"""Unpacks a model's archive, .zip or .tar with any compression, trusting nothing in it.

Files and folders only, within the target, as many and as large as allowed: the sizes are counted while writing, not
taken from headers.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from hotline.errors import InvalidInputError

BLOCK_BYTES = 1 << 20
MAX_FILES = 10_000
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError)
"""What the standard library raises for archives that are none, damaged or encrypted."""

Member = tuple[str, AbstractContextManager[IO[bytes]]]


def unpack(archive: Path, target: Path, *, max_bytes: int) -> None:
    """Unpacks into the empty folder `target`; raises `InvalidInputError` for an archive that is broken or hostile."""
    left = max_bytes
    try:
        members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
        for count, (name, opening) in enumerate(members(archive), 1):
            if count > MAX_FILES:
                raise InvalidInputError(f"{archive} holds more than {MAX_FILES} files")
            path = target / _safe(name, archive)
            path.parent.mkdir(parents=True, exist_ok=True)
            with opening as source, path.open("xb") as file:
                while block := source.read(BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise InvalidInputError(f"{archive} unpacks to more than {max_bytes} bytes")
                    file.write(block)
    except BROKEN as error:
        raise InvalidInputError(f"{archive} is no whole archive: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidInputError(f"{archive} holds a file twice") from error


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or not name.isprintable():
        raise InvalidInputError(f"{archive} holds a file outside itself: {name[:80]!r}")
    return path


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InvalidInputError(f"{archive} holds what is neither file nor folder: {member.filename[:80]!r}")
            if not member.is_dir():
                yield member.filename, opened.open(member)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            if not member.isreg() and not member.isdir():
                raise InvalidInputError(f"{archive} holds what is neither file nor folder: {member.name[:80]!r}")
            if member.isreg():
                yield member.name, _opened(opened, member)


@contextmanager
def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    file = archive.extractfile(member)
    if file is None:
        raise tarfile.ReadError("a file without contents")
    with file:
        yield file
