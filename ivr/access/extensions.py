"""The extensions of the site and their secrets, in one file: HA1 values only, mode 0600, written atomically.

Digest needs the HA1 itself, so it can't be stored behind a slow hash as console passwords are (docs/seats.md).
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotline.errors import ConfigurationError, ConflictError, InvalidInputError, NotFoundError
from ivr.access.digest import Algorithm, ha1

MIN_SECRET = 8
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{1,31}")
_LABEL = re.compile(r"[\w-]{1,32}")


@dataclass(frozen=True)
class ExtensionRecord:
    """One extension; `secrets`: HA1 by algorithm. Of a seat: the queues it answers, what it is good at, and whether it
    may listen in on others' calls."""

    name: str
    display_name: str
    secrets: Mapping[Algorithm, str]
    queues: tuple[str, ...] = ()
    skills: frozenset[str] = frozenset()
    supervisor: bool = False

    def __repr__(self) -> str:
        return f"ExtensionRecord({self.name!r}, {self.display_name!r})"


class ExtensionFile:
    """Reads the file again when it has changed; a file that cannot be read then leaves what was known.

    Raises `ConfigurationError` where it cannot be read at first, or was written for another realm.
    """

    def __init__(self, path: Path, *, realm: str) -> None:
        self._path = path
        self._realm = realm
        self._stamp: tuple[int, int, int] | None = None
        self._records: dict[str, ExtensionRecord] = {}
        self._load()

    def get(self, name: str) -> ExtensionRecord | None:
        return self._records.get(name)

    def all(self) -> tuple[ExtensionRecord, ...]:
        return tuple(self._records[name] for name in sorted(self._records))

    def refresh(self) -> frozenset[str]:
        """Reads a changed file; returns the extensions that are gone or have another secret now.

        Raises `ConfigurationError` where it cannot be read; what was known stays.
        """
        before = self._records
        self._load()
        return frozenset(
            name
            for name, record in before.items()
            if name not in self._records or self._records[name].secrets != record.secrets
        )

    def add(
        self,
        name: str,
        *,
        display_name: str,
        password: str,
        queues: Sequence[str] = (),
        skills: Iterable[str] = (),
        supervisor: bool = False,
    ) -> None:
        """Adds an extension; raises `InvalidInputError` or `ConflictError`."""
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"{name[:40]!r} is no name of an extension: letters, digits, - and _, 2 to 32")
        if len(password) < MIN_SECRET or not password.isprintable():
            raise InvalidInputError(f"the secret of an extension has at least {MIN_SECRET} characters")
        for label in (*queues, *(skills := frozenset(skills))):
            if not _LABEL.fullmatch(label):
                raise InvalidInputError(f"{label[:40]!r} is no name of a queue or a skill: one word of at most 32")
        if name in self._records:
            raise ConflictError(f"there is an extension {name} already")
        secrets = {each: ha1(each, username=name, realm=self._realm, password=password) for each in Algorithm}
        record = ExtensionRecord(name, display_name, secrets, tuple(dict.fromkeys(queues)), skills, supervisor)
        self._save(self._records | {name: record})

    def remove(self, name: str) -> None:
        """Raises `NotFoundError`."""
        if name not in self._records:
            raise NotFoundError(f"there is no extension {name}")
        self._save({key: record for key, record in self._records.items() if key != name})

    def _load(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            records = _parse(json.loads(self._path.read_text("utf-8")), self._realm)
        except FileNotFoundError:
            self._records, self._stamp = {}, None
            return
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{self._path} is no file of extensions") from error
        self._records, self._stamp = records, stamp

    def _save(self, records: dict[str, ExtensionRecord]) -> None:
        data = {
            "realm": self._realm,
            "extensions": {
                record.name: {
                    "display_name": record.display_name,
                    "ha1": {str(key): value for key, value in record.secrets.items()},
                    "queues": list(record.queues),
                    "skills": sorted(record.skills),
                    "supervisor": record.supervisor,
                }
                for record in records.values()
            },
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".extensions-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._load()


def _parse(data: Any, realm: str) -> dict[str, ExtensionRecord]:
    if data["realm"] != realm:
        raise ConfigurationError(
            f"the extensions were made for the realm {data['realm']!r}, not {realm!r}",
            hint="set extensions.realm back, or remove and add every extension",
        )
    return {
        name: ExtensionRecord(
            name,
            str(item["display_name"]),
            {Algorithm(key): str(value) for key, value in item["ha1"].items()},
            queues=_labels(item.get("queues", [])),
            skills=frozenset(_labels(item.get("skills", []))),
            supervisor=item.get("supervisor", False) is True,
        )
        for name, item in data["extensions"].items()
    }


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of names")
    return tuple(map(str, value))
