"""Where recordings are kept for good: a directory or any store that fsspec knows, addressed by name.

Names are relative POSIX paths (`2026/01/05/<call id>.wav`). A name holds either the whole file or nothing.
"""

import contextlib
import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hotline.errors import ConfigurationError, InvalidInputError, NotFoundError, UnavailableError
from hotline.settings import Settings
from recordings.chain import StoredFile
from recordings.encryption import HEADER_BYTES, EncryptingWriter, key_id_of, open_decrypted
from recordings.keys import KeyRing, load_keys

_PIECE = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class RecordingStore:
    """Files by name under one fsspec address. Raises `UnavailableError` while the store does not answer.

    With `keys` what is put is encrypted; what is opened is decrypted where it is encrypted (`recordings.encryption`).
    """

    def __init__(self, url: str, keys: KeyRing | None = None) -> None:
        self.keys = keys
        try:
            self._files, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"recordings_url: {error}", hint="S3 needs `pip install 'hotline[s3]'`") from error
        self._root = root.rstrip("/")

    def put(self, source: Path, name: str) -> StoredFile:
        """Stores a file; what was under `name` is replaced in one step. On a disk it is synced before this returns."""
        with open(source, "rb") as content:
            return self._write(content, name)

    def put_open(self, content: BinaryIO, name: str) -> StoredFile:
        """Stores what an open file holds from its place on, as `put` does."""
        return self._write(content, name)

    def put_bytes(self, content: bytes, name: str) -> StoredFile:
        """Stores `content`, as `put` does."""
        return self._write(io.BytesIO(content), name)

    def put_as_it_is(self, content: BinaryIO, name: str) -> None:
        """Stores `content` without encrypting it: it is for everyone who reads the store, or is encrypted already."""
        self._write(content, name, encrypted=False)

    def encrypt(self, name: str, target: BinaryIO) -> StoredFile:
        """Writes what `name` holds to `target`, encrypted under the key in use; what such a file would be."""
        with self.open(name) as content:
            return self._copy(content, target, name)

    def key_id(self, name: str) -> str:
        """The id of the key under which `name` is encrypted; empty where it is not."""
        with self._errors(name), self._files.open(self._path(name), "rb") as file:
            return key_id_of(file.read(HEADER_BYTES))

    def open(self, name: str) -> BinaryIO:
        """What `name` holds, as a seekable binary file to read ranges from; the caller closes it.

        `NotFoundError` where there is none, `DamagedError` where it was encrypted and is not as it was,
        `ConfigurationError` where its key is missing.
        """
        with self._errors(name):
            return open_decrypted(cast(BinaryIO, self._files.open(self._path(name), "rb")), self.keys, name)

    def size(self, name: str) -> int:
        """Bytes under `name` as they lie in the store; `NotFoundError` where there is none."""
        with self._errors(name):
            return int(self._files.size(self._path(name)))

    def digest(self, name: str) -> str:
        """The SHA-256, in hexadecimal, of the bytes under `name` as they lie in the store."""
        with self._errors(name), self._files.open(self._path(name), "rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            return digest.hexdigest()

    def names(self, folder: str) -> list[str]:
        """The names in a folder and those below it, sorted; none where there is no such folder."""
        with self._errors(folder):
            try:
                found = self._files.find(self._path(folder))
            except FileNotFoundError:
                return []
        return sorted(path.removeprefix("/") for path in (item.removeprefix(self._root) for item in found))

    def folders(self, folder: str = "") -> list[str]:
        """The folders in a folder, sorted; without one, those of the store."""
        with self._errors(folder):
            try:
                found = self._files.ls(self._path(folder) if folder else self._root, detail=True)
            except FileNotFoundError:
                return []
        return sorted(
            item["name"].rstrip("/").removeprefix(self._root).removeprefix("/")
            for item in found
            if item["type"] == "directory"
        )

    def modified_at(self, name: str) -> datetime:
        """When what is under `name` was put there, by the store's clock."""
        with self._errors(name):
            at: datetime = self._files.modified(self._path(name))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def exists(self, name: str) -> bool:
        """Whether `name` holds a file."""
        with self._errors(name):
            return bool(self._files.isfile(self._path(name)))

    def delete(self, name: str) -> None:
        """Removes `name`; nothing happens where there is none."""
        with contextlib.suppress(NotFoundError), self._errors(name):
            self._files.rm_file(self._path(name))

    def _write(self, content: BinaryIO, name: str, *, encrypted: bool = True) -> StoredFile:
        path = self._path(name)
        with self._errors(name):
            if not isinstance(self._files, LocalFileSystem):  # an object appears whole, when it is closed
                with self._files.open(path, "wb") as target:
                    return self._copy(content, target, name, encrypted=encrypted)
            partial = Path(f"{path}.{uuid.uuid4().hex}.part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "wb") as target:
                    stored = self._copy(content, target, name, encrypted=encrypted)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(partial, path)
                return stored
            finally:
                partial.unlink(missing_ok=True)

    def _copy(self, content: BinaryIO, target: BinaryIO, name: str, *, encrypted: bool = True) -> StoredFile:
        lying = _Tally(target)
        encrypting = EncryptingWriter(lying, self.keys.current, name) if encrypted and self.keys else None
        digest = hashlib.sha256()
        while piece := content.read(_PIECE):
            digest.update(piece)
            (encrypting or lying).write(piece)
        if encrypting:
            encrypting.finish()
        return StoredFile(
            name=name,
            sha256=lying.digest.hexdigest(),
            size_bytes=lying.size_bytes,
            content_sha256=digest.hexdigest(),
        )

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


class _Tally:
    """Hands on what is written, and keeps its digest and length."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes, /) -> None:
        self.digest.update(data)
        self.size_bytes += len(data)
        self._target.write(data)


def open_store(settings: Settings) -> RecordingStore:
    """The site's recording store with its keys; raises `ConfigurationError` where they are not as they must be."""
    return RecordingStore(settings.effective_recordings_url(), load_keys(settings.recordings))
