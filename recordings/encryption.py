"""Encryption at rest: AES-256-GCM in chunks that are read in any order, under a key of each file's own.

The construction is STREAM (V. T. Hoang, R. Reyhanitabar, P. Rogaway, D. Vizár, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015), as age and Tink use it: a chunk's nonce is its number and whether it is
the last. The file's key is HKDF-SHA256 (RFC 5869) of the site's key, a random salt, the header and the file's name in
the store. So a flipped bit, chunks taken out, put in another order or cut off at the end, and a file under another's
name are all refused.

    magic 8 | key id 16, zeros behind it | salt 32 | log2 of the chunk size 1 | zeros 7 | chunk, tag 16 | chunk ...
"""

import io
import os
import struct
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hotline.errors import ConfigurationError, DamagedError
from recordings.keys import KEY_BYTES, Key, KeyRing

MAGIC = b"HLREC\x01\r\n"
CHUNK_LOG2 = 16
TAG_BYTES = 16
_SALT_BYTES = 32
_HEADER = struct.Struct("!8s16s32sB7s")
HEADER_BYTES = _HEADER.size
_NONCE = struct.Struct("!xxxQ?")
_CHUNK_LOG2_RANGE = range(4, 25)


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


class EncryptingWriter:
    """Writes what it is given, encrypted, to `target`; `finish` it, or the file is refused as cut short."""

    def __init__(self, target: Sink, key: Key, name: str, *, chunk_log2: int = CHUNK_LOG2) -> None:
        header = _HEADER.pack(MAGIC, key.id.encode(), os.urandom(_SALT_BYTES), chunk_log2, b"")
        self._target = target
        self._cipher = _file_cipher(key, header, name)
        self._chunk_bytes = 1 << chunk_log2
        self._index = 0
        self._waiting = bytearray()
        target.write(header)

    def write(self, data: bytes, /) -> None:
        """Takes more of the content."""
        self._waiting += data
        while len(self._waiting) > self._chunk_bytes:  # the last chunk has to be known as such
            self._seal(self._chunk_bytes, last=False)

    def finish(self) -> None:
        """Writes the last chunk."""
        self._seal(len(self._waiting), last=True)

    def _seal(self, count: int, *, last: bool) -> None:
        chunk = bytes(self._waiting[:count])
        del self._waiting[:count]
        self._target.write(self._cipher.encrypt(_NONCE.pack(self._index, last), chunk, None))
        self._index += 1


class DecryptingFile(io.RawIOBase):
    """The content of an encrypted file, seekable; it closes the file with itself.

    Raises `DamagedError` where the file is not what was written under `name`, at once for its end, else when the chunk
    is read; `ConfigurationError` where its key is not at hand.
    """

    def __init__(self, file: BinaryIO, keys: KeyRing | None, name: str) -> None:
        self._file = file
        self._name = name
        sealed_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = file.read(HEADER_BYTES)
        self._cipher, chunk_log2 = _open_header(header, keys, name)
        self._chunk_bytes = 1 << chunk_log2
        body = sealed_bytes - HEADER_BYTES
        self._chunks = max(1, -(-body // (self._chunk_bytes + TAG_BYTES)))
        self._size = body - self._chunks * TAG_BYTES
        self._position = 0
        self._loaded = -1
        self._chunk = b""
        if self._size < 0:
            raise self._damaged()
        self._load(self._chunks - 1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # type: ignore[override]
        if self._position >= self._size or not len(buffer):
            return 0
        index, start = divmod(self._position, self._chunk_bytes)
        if index != self._loaded:
            self._load(index)
        piece = self._chunk[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _load(self, index: int) -> None:
        sealed_bytes = self._chunk_bytes + TAG_BYTES
        last = index == self._chunks - 1
        self._file.seek(HEADER_BYTES + index * sealed_bytes)
        sealed = self._file.read(sealed_bytes)
        self._loaded = -1
        try:
            self._chunk = self._cipher.decrypt(_NONCE.pack(index, last), sealed, None)
        except InvalidTag:
            raise self._damaged() from None
        self._loaded = index

    def _damaged(self) -> DamagedError:
        return DamagedError(
            f"{self._name} is not as it was encrypted: changed, cut short, or another file's content",
            hint="`hotline recordings verify` tells which files are as they were stored",
        )


def open_decrypted(file: BinaryIO, keys: KeyRing | None, name: str) -> BinaryIO:
    """The content of `file`, decrypted where it is encrypted; raises as `DecryptingFile`, and closes `file` then."""
    try:
        encrypted = file.read(len(MAGIC)) == MAGIC
        file.seek(0)
        return io.BufferedReader(DecryptingFile(file, keys, name), 1 << CHUNK_LOG2) if encrypted else file
    except BaseException:
        file.close()
        raise


def key_id_of(start: bytes) -> str:
    """The id of the key under which a file that starts so is encrypted; empty where it is not."""
    if len(start) < HEADER_BYTES or not start.startswith(MAGIC):
        return ""
    _, key_id, *_ = _HEADER.unpack_from(start)
    return str(key_id.rstrip(b"\0"), "ascii", "replace")


def _open_header(header: bytes, keys: KeyRing | None, name: str) -> tuple[AESGCM, int]:
    if len(header) < HEADER_BYTES:
        raise DamagedError(f"{name} ends within its header")
    key_id = key_id_of(header)
    chunk_log2 = _HEADER.unpack(header)[3]
    if chunk_log2 not in _CHUNK_LOG2_RANGE:
        raise DamagedError(f"{name} has a header that makes no sense")
    key = keys.find(key_id) if keys else None
    if key is None:
        raise ConfigurationError(
            f"{name} is encrypted under the key {key_id!r}, which is not at hand",
            hint="add its line to recordings.key_file, or to what recordings.key_command prints",
        )
    return _file_cipher(key, header, name), chunk_log2


def _file_cipher(key: Key, header: bytes, name: str) -> AESGCM:
    salt = _HEADER.unpack(header)[2]
    derived = HKDF(SHA256(), KEY_BYTES, salt, b"hotline recording\0" + header + name.encode()).derive(key.secret)
    return AESGCM(derived)
