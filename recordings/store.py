"""Where recordings are kept for good: a directory or any store that fsspec knows, addressed by name.

Names are relative POSIX paths (`2026/01/05/<call id>.wav`). A name holds either the whole file or nothing.
"""

import contextlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hotline.errors import ConfigurationError, InvalidInputError, NotFoundError, UnavailableError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class RecordingStore:
    """Files by name under one fsspec address. Raises `UnavailableError` while the store does not answer."""

    def __init__(self, url: str) -> None:
        try:
            self._files, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"recordings_url: {error}", hint="S3 needs `pip install 'hotline[s3]'`") from error
        self._root = root.rstrip("/")

    def put(self, source: Path, name: str) -> None:
        """Stores a file; what was under `name` is replaced in one step. On a disk it is synced before this returns."""
        with open(source, "rb") as content:
            self._write(content, name)

    def put_bytes(self, content: bytes, name: str) -> None:
        """Stores `content`, as `put` does."""
        self._write(io.BytesIO(content), name)

    def open(self, name: str) -> BinaryIO:
        """A seekable binary file to read ranges from; the caller closes it. `NotFoundError` where there is none."""
        with self._errors(name):
            return cast(BinaryIO, self._files.open(self._path(name), "rb"))

    def size(self, name: str) -> int:
        """Bytes under `name`; `NotFoundError` where there is none."""
        with self._errors(name):
            return int(self._files.size(self._path(name)))

    def exists(self, name: str) -> bool:
        """Whether `name` holds a file."""
        with self._errors(name):
            return bool(self._files.isfile(self._path(name)))

    def delete(self, name: str) -> None:
        """Removes `name`; nothing happens where there is none."""
        with contextlib.suppress(NotFoundError), self._errors(name):
            self._files.rm_file(self._path(name))

    def _write(self, content: BinaryIO, name: str) -> None:
        path = self._path(name)
        with self._errors(name):
            if not isinstance(self._files, LocalFileSystem):  # an object appears whole, when it is closed
                with self._files.open(path, "wb") as target:
                    shutil.copyfileobj(content, target)
                return
            partial = Path(f"{path}.{uuid.uuid4().hex}.part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "wb") as target:
                    shutil.copyfileobj(content, target)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"not a name in the recording store: {name!r}")
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFoundError(f"the recording store has no {name}") from error
        except OSError as error:  # botocore's errors reach us as these, too
            raise UnavailableError(f"recording store: {name}: {error}") from error
