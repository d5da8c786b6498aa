"""The public recognition models that we know of, and how to fetch one: bounded, resumable, checked."""

import errno
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hotline.errors import InvalidInputError, NotFoundError, UnavailableError
from hotline.settings_sections import PACKAGE_ROOT

CATALOGUE = PACKAGE_ROOT / "asr/data/models.yaml"
BLOCK_BYTES = 1 << 18
TIMEOUT_S = 30.0
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OFFLINE_HINT = (
    "fetch {url} where there is internet and bring it here: hotline models fetch {name} --from FILE; "
    "or name a mirror in asr.models_mirror"
)

Progress = Callable[[int, int | None], None]
"""Told the bytes that are here and those of the whole, where that is known."""


class PublicModel(BaseModel):
    """One entry of the catalogue; None where nobody could confirm a value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    engine: str
    about: str
    url: str = Field(pattern=r"^https?://")
    size: int | None
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str | None
    sample_rate: int
    streaming: bool
    memory_mb: int | None
    cer: str | None
    source: str

    @property
    def file(self) -> str:
        """The name of its archive."""
        return urlsplit(self.url).path.rpartition("/")[2]


def load_catalogue() -> tuple[PublicModel, ...]:
    """The models we know of."""
    raw = yaml.safe_load(CATALOGUE.read_text("utf-8"))["models"]
    return TypeAdapter(tuple[PublicModel, ...]).validate_python(raw)


def find_model(name: str) -> PublicModel:
    """Raises `NotFoundError` naming those there are."""
    models = load_catalogue()
    for model in models:
        if model.name == name:
            return model
    raise NotFoundError(f"no model named {name!r}", hint=f"there are {', '.join(model.name for model in models)}")


@dataclass(frozen=True)
class Download:
    """A model's archive on its way to `folder`; what has come stays there for the next try."""

    model: PublicModel
    folder: Path
    mirror: str = ""
    """Where the same file lies under another address: its folder."""
    max_bytes: int = 8 << 30

    @property
    def url(self) -> str:
        return f"{self.mirror.rstrip('/')}/{self.model.file}" if self.mirror else self.model.url

    @property
    def archive(self) -> Path:
        return self.folder / self.model.file

    def run(self, progress: Progress) -> Path:
        """Fetches what is missing and returns the checked archive.

        Raises `UnavailableError` offline, for a broken connection or a full disk, `InvalidInputError` for a file that
        is not the model's.
        """
        part, tag = self.archive.with_name(f"{self.model.file}.part"), self.archive.with_name(f"{self.model.file}.tag")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._receive(part, tag, progress)
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"{self.url}: the server answers {error.code} {error.reason}") from error
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise UnavailableError(
                    f"the disk of {self.folder} is full: {error.strerror}", hint="make room and fetch again: it goes on"
                ) from error
            hint = OFFLINE_HINT.format(url=self.model.url, name=self.model.name)
            raise UnavailableError(f"{self.url} cannot be fetched: {error}", hint=hint) from error
        except http.client.HTTPException as error:
            raise UnavailableError(
                f"{self.url} broke off after {part.stat().st_size} bytes", hint="fetch again: it goes on from there"
            ) from error
        try:
            check_archive(part, self.model)
        except InvalidInputError:
            part.unlink()
            tag.unlink(missing_ok=True)
            raise
        part.replace(self.archive)
        tag.unlink(missing_ok=True)
        return self.archive

    def _receive(self, part: Path, tag: Path, progress: Progress) -> None:
        """Appends what is missing; a file that changed meanwhile, or a server without ranges, begins anew."""
        here = part.stat().st_size if part.exists() and tag.exists() else 0
        if here and here == self.model.size:
            return
        request = urllib.request.Request(self.url, headers={"User-Agent": "hotline"})  # noqa: S310 - http(s) only
        if here:
            request.add_header("Range", f"bytes={here}-")
            request.add_header("If-Range", tag.read_text("utf-8"))
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                here = 0
            tag_text = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            length = response.headers.get("Content-Length")
            total = here + int(length) if length and length.isdigit() else self.model.size
            with part.open("ab" if here else "wb") as file:
                if tag_text and not tag_text.startswith("W/"):
                    tag.write_text(tag_text, "utf-8")
                while block := response.read(BLOCK_BYTES):
                    here += len(block)
                    if here > self.max_bytes:
                        raise InvalidInputError(f"{self.url} has more than {self.max_bytes} bytes")
                    file.write(block)
                    progress(here, total)
            if total is not None and here < total:
                raise http.client.IncompleteRead(b"", total - here)


def check_archive(file: Path, model: PublicModel) -> None:
    """Raises `InvalidInputError` where a file is not the model's archive, as far as its size and hash are known."""
    size = file.stat().st_size
    if model.size is not None and size != model.size:
        raise InvalidInputError(f"{file} has {size} bytes instead of {model.size}: it is not {model.name}")
    if model.sha256 is not None and (found := sha256_of(file)) != model.sha256:
        raise InvalidInputError(f"{file} has the hash {found}, {model.name} has {model.sha256}")


def sha256_of(file: Path) -> str:
    """In hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
