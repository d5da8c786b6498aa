"""The site's keys for recordings: one line a key, `id:base64 of 32 octets`; the first is the one in use."""

import base64
import binascii
import os
import re
import secrets
import shlex
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hotline.errors import ConfigurationError, ConflictError, InvalidInputError
from hotline.settings_sections import RecordingSettings

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,16}")
_MAKE_ONE = "`hotline recordings new-key FILE` makes one"


@dataclass(frozen=True)
class Key:
    """A key of 256 bits and the name that encrypted files know it by."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRing:
    """The key in use, and all that files may still be encrypted under."""

    keys: tuple[Key, ...]

    @property
    def current(self) -> Key:
        return self.keys[0]

    def find(self, key_id: str) -> Key | None:
        """The key of that id, or None."""
        return next((key for key in self.keys if key.id == key_id), None)


def load_keys(settings: RecordingSettings) -> KeyRing | None:
    """The keys that the settings name; None where recordings are not encrypted. Raises `ConfigurationError`."""
    if settings.key_file is not None:
        return parse_keys(_read_key_file(settings.key_file), source=f"recordings.key_file {settings.key_file}")
    if settings.key_command:
        text = _run_key_command(settings.key_command, timeout_s=settings.key_command_s)
        return parse_keys(text, source="what recordings.key_command printed")
    return None


def parse_keys(text: str, *, source: str) -> KeyRing:
    """Reads the lines; blank ones and comments (#) are passed over. The text of an error holds no key."""
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{source}, line {number}"
        key_id, colon, encoded = line.strip().partition(":")
        if not colon or not _ID.fullmatch(key_id):
            raise ConfigurationError(f"{where}: not `id:base64`", hint=_MAKE_ONE)
        try:
            secret = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(f"{where}: the key {key_id} is not base64", hint=_MAKE_ONE) from None
        if len(secret) != KEY_BYTES:
            raise ConfigurationError(
                f"{where}: the key {key_id} has {len(secret)} octets, not {KEY_BYTES}", hint=_MAKE_ONE
            )
        if any(key.id == key_id for key in keys):
            raise ConfigurationError(f"{where}: there are two keys named {key_id}")
        keys.append(Key(key_id, secret))
    if not keys:
        raise ConfigurationError(f"{source}: no key in it", hint=_MAKE_ONE)
    return KeyRing(tuple(keys))


def add_key(path: Path, key_id: str) -> Key:
    """Puts a new random key on top of the file's lines, so that it is the one in use; makes the file if need be.

    The file is replaced in one step and readable by its owner alone.
    """
    if not _ID.fullmatch(key_id):
        raise InvalidInputError(f"不是密钥名：{key_id[:40]!r}", hint="一至十六个字母、数字、点、横线或下划线")
    before = ""
    if path.exists():
        before = _read_key_file(path)
        if before.strip() and parse_keys(before, source=str(path)).find(key_id):
            raise ConflictError(f"{path} 里已有密钥 {key_id}", hint="用 --id 另取一个名字")
    key = Key(key_id, secrets.token_bytes(KEY_BYTES))
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{key.id}:{base64.b64encode(key.secret).decode()}\n{before}")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    return key


def _read_key_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise ConfigurationError(f"recordings.key_file {path}: {reason}", hint=_MAKE_ONE) from None
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"recordings.key_file {path} is open to every account of the machine", hint=f"chmod 600 {path}"
        )
    return text


def _run_key_command(command: str, *, timeout_s: float) -> str:
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return done.stdout.decode("ascii")
        problem = f"ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}"
    except subprocess.TimeoutExpired:
        problem = f"took more than {timeout_s:g} s (recordings.key_command_s)"
    except (OSError, ValueError) as error:
        problem = "printed no text" if isinstance(error, UnicodeDecodeError) else str(error)
    raise ConfigurationError(f"recordings.key_command {problem}")
