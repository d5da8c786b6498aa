"""The hash chain over the files of the recording store: each link says what became of one file and seals all before it.

Links are only ever added. A link's digest is the SHA-256 of its fields and of the digest before it, so a link that is
changed, taken out or put in between shows at every later one. A day (UTC, by the clock of who adds) is a stretch of
the one chain and begins where the day before ended: a day that is taken out whole shows as well.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from hotline.errors import InvalidInputError

Kind = Literal["stored", "replaced", "removed"]
STORED: Kind = "stored"
REPLACED: Kind = "replaced"
REMOVED: Kind = "removed"
COMPRESSED = "compressed"
"""The note of two links: a WAV was removed, its sound is kept in the file that was stored."""
GENESIS = "0" * 64
DAY_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file in the store: `sha256` and `size_bytes` of the bytes that lie there, `content_sha256` of what they hold.

    The two digests are the same where the file is not encrypted.
    """

    name: str
    sha256: str
    size_bytes: int
    content_sha256: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link. `kind`: the file was stored, replaced in its place (encrypted anew), or removed by rule.

    `sha256`, `size_bytes`: of the bytes in the store, so that whoever checks them needs no key; `content_sha256`: of
    what they hold. Of a removed file they are its last. `note`: why, for example the number of a deletion certificate.
    """

    position: int
    """1 for the first; no gaps."""
    day: str
    at: datetime
    kind: Kind
    call_id: str
    path: str
    sha256: str
    size_bytes: int
    content_sha256: str
    note: str
    previous: str
    digest: str


@dataclass(frozen=True)
class Head:
    """The end of the chain: the last link's position, day and digest."""

    position: int = 0
    day: str = ""
    digest: str = GENESIS


def next_link(
    head: Head, file: StoredFile, *, kind: Kind, call_id: str, note: str = "", now: datetime
) -> tuple[Head, Link]:
    """The link that follows `head`, and the head that it makes. A clock that was set back does not reopen a day."""
    link = Link(
        position=head.position + 1,
        day=max(now.strftime(DAY_FORMAT), head.day),
        at=now,
        kind=kind,
        call_id=call_id,
        path=file.name,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        content_sha256=file.content_sha256,
        note=note,
        previous=head.digest,
        digest="",
    )
    link = replace(link, digest=digest_of(link))
    return head_of(link), link


def head_of(link: Link) -> Head:
    """The head of a chain that ends with `link`."""
    return Head(link.position, link.day, link.digest)


def digest_of(link: Link) -> str:
    """The SHA-256, in hexadecimal, of everything that the link says and of the digest before it."""
    fields = _plain(link)
    del fields["digest"]
    return hashlib.sha256(_json(fields)).hexdigest()


def breaks(head: Head, links: Iterable[Link]) -> Iterator[tuple[Link, str]]:
    """The links that do not follow from what is before them, with what is wrong; `head`: what is before the first.

    One fault is told once: what follows is measured by the link as it stands.
    """
    for link in links:
        if link.position != head.position + 1:
            yield link, f"links {head.position + 1} to {link.position - 1} are gone"
        elif link.previous != head.digest:
            yield link, "the link before it is not the one that it was added to"
        elif link.digest != digest_of(link):
            yield link, "its row was changed"
        elif link.day < head.day:
            yield link, "its day is before the last one's"
        head = head_of(link)


def serialize_link(link: Link) -> bytes:
    """One line of a manifest."""
    return _json(_plain(link)) + b"\n"


def parse_link(line: bytes) -> Link:
    """The inverse of `serialize_link`; raises `InvalidInputError`."""
    try:
        fields = json.loads(line)
        link = Link(**{**fields, "at": datetime.fromisoformat(fields["at"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(f"not a line of a manifest: {line[:40]!r}") from error
    if {type(link.position), type(link.size_bytes)} != {int} or link.kind not in (STORED, REPLACED, REMOVED):
        raise InvalidInputError(f"not a line of a manifest: {line[:40]!r}")
    return link


def manifest_folder(day: str) -> str:
    """Where the manifests of a day lie in the store."""
    return f"chain/{day.replace('-', '/')}"


def manifest_name(links: list[Link]) -> str:
    """The name of the manifest with these links, which are of one day."""
    return f"{manifest_folder(links[0].day)}/{links[0].position:010}-{links[-1].position:010}.jsonl"


def parse_day(text: str) -> datetime:
    """Midnight of a day written as 2026-01-05, without a zone; raises `InvalidInputError`."""
    try:
        return datetime.strptime(text, DAY_FORMAT)  # noqa: DTZ007 - a calendar day, which is in no zone
    except ValueError:
        raise InvalidInputError(f"不是日期：{text[:20]}", hint="日期写成 2026-01-05") from None


def _plain(link: Link) -> dict[str, Any]:
    return {**asdict(link), "at": link.at.isoformat(timespec="microseconds")}


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
