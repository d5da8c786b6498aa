"""Proves the recording store against its hash chain: files that are gone, changed or not ours, rows that were touched.

It reads a day at a time and needs no key: the chain has the digests of the bytes that lie in the store.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from itertools import groupby
from pathlib import PurePosixPath

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import InvalidInputError, NotFoundError
from recordings import chain_repository, repository
from recordings.chain import (
    COMPRESSED,
    DAY_FORMAT,
    REMOVED,
    Head,
    Link,
    breaks,
    head_of,
    manifest_folder,
    manifest_name,
    parse_day,
    parse_link,
    serialize_link,
)
from recordings.ffmpeg import SUFFIXES
from recordings.models import Recording
from recordings.store import RecordingStore

CHAIN_FOLDER = "chain"
AUDIO_SUFFIXES = (".wav", *SUFFIXES)
SETTLING = timedelta(hours=1)
"""A file that was put so recently may wait for its rows."""
MANIFEST_LINKS = 5_000

PROBLEMS = {
    "broken": "哈希链断裂",
    "unlisted": "清单与数据库不符",
    "missing": "文件缺失",
    "changed": "文件被改动",
    "unfinished": "替换未完成",
    "left_over": "已删除的文件仍在",
    "extra": "来历不明的文件",
    "unchained": "未入链的录音",
    "row": "数据行与哈希链不符",
}
"""What makes a verification fail, with its name on the screen."""


@dataclass(frozen=True)
class Finding:
    """Something wrong. `subject`: a file of the store or a link; `kind`: one of `PROBLEMS`."""

    kind: str
    day: str
    subject: str
    message: str


@dataclass
class Report:
    """What was looked at and found. `head`: the chain's last digest, to be noted where nobody can change it."""

    first_day: str = ""
    last_day: str = ""
    links: int = 0
    files: int = 0
    size_bytes: int = 0
    removed: int = 0
    compressed: int = 0
    replaced: int = 0
    repaired: int = 0
    awaiting_manifest: int = 0
    head: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.findings

    def counts(self) -> dict[str, int]:
        """Findings of each kind."""
        return dict(Counter(finding.kind for finding in self.findings))


def write_manifests(database: Database, store: RecordingStore) -> int:
    """Writes the links that no manifest has yet into the store, a file a batch; returns how many.

    Killed on the way, it writes the same again. Two that run at once write the same.
    """
    written = 0
    while True:
        with database.reading() as session:
            links = chain_repository.unlisted_links(session, limit=MANIFEST_LINKS)
        if not links:
            return written
        store.put_as_it_is(io.BytesIO(b"".join(map(serialize_link, links))), manifest_name(links))
        with database.transaction() as session:
            chain_repository.mark_listed(session, links[-1].position)
        written += len(links)


class Verification:
    """One run. `progress` is told each file that was read."""

    def __init__(
        self,
        database: Database,
        store: RecordingStore,
        *,
        clock: Clock,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._progress = progress
        self._report = Report()

    def run(self, *, first: str = "", last: str = "", known_head: str = "") -> Report:
        """Verifies the days from `first` to `last` (2026-01-05; empty: all). `known_head`: a digest noted earlier.

        A day is that on which files came into the chain, and for files without a link the one of their folder. Raises
        `InvalidInputError` for what is no day.
        """
        report = self._report
        with self._database.reading() as session:
            end, listed = chain_repository.chain_end(session)
            chained = chain_repository.days(session)
            report.head = end.digest
            report.awaiting_manifest = end.position - listed
            if known_head and not chain_repository.has_digest(session, known_head):
                self._find("broken", "", known_head, "the chain has no link with this digest: it was made anew")
        for day in (first, last):
            if day:
                parse_day(day)
        every = {*chained, *self._folders(""), *self._folders(CHAIN_FOLDER)}
        days = sorted(day for day in every if (first or day) <= day <= (last or day))
        report.first_day = first or min(every, default="")
        report.last_day = last or max(every, default="")
        for day in days:
            self._day(day, end=end if chained and day == chained[-1] else None, listed=listed)
        if not chained and end.position:
            self._find("broken", end.day, "chain", "all its links are gone")
        return report

    def _day(self, day: str, *, end: Head | None, listed: int) -> None:
        with self._database.reading() as session:
            before = chain_repository.head_before(session, day)
            links = chain_repository.links_of_day(session, day)
            rows = repository.recordings_stored_on(session, parse_day(day).replace(tzinfo=UTC))
        self._links(day, before, [link for link, _ in links], end)
        self._manifests(day, [link for link, _ in links], listed)
        current: dict[str, Link] = {}
        for link, superseded in links:
            self._report.replaced += link.kind == "replaced"
            compressed = link.kind == REMOVED and link.note == COMPRESSED
            self._report.compressed += compressed
            self._report.removed += link.kind == REMOVED and not compressed
            if not superseded:
                self._file(link)
                if link.kind != REMOVED:
                    current[link.path] = link
        self._rows(day, current, rows)
        self._extra(day)

    def _links(self, day: str, before: Head, links: list[Link], end: Head | None) -> None:
        self._report.links += len(links)
        for link, message in breaks(before, links):
            self._find("broken", day, f"#{link.position} {link.path}", message)
        if end is not None and not any(head_of(link) == end for link in links):
            self._find("broken", day, f"#{end.position}", "the last links are gone or were made anew")

    def _manifests(self, day: str, links: list[Link], end: int) -> None:
        """The links against the manifests, which should have those up to `end`."""
        listed: dict[int, Link] = {}
        for name in self._store.names(manifest_folder(day)):
            with self._store.open(name) as file:
                for line in file.read().splitlines():
                    try:
                        link = parse_link(line)
                    except InvalidInputError as error:
                        self._find("unlisted", day, name, error.message)
                        continue
                    if listed.setdefault(link.position, link) != link:
                        self._find("unlisted", day, name, f"two manifests differ on link {link.position}")
        for link in links:
            if link.position not in listed and link.position <= end:
                self._find("unlisted", day, f"#{link.position} {link.path}", "no manifest in the store has this link")
            elif listed.get(link.position, link) != link:
                self._find("unlisted", day, f"#{link.position} {link.path}", "the manifest in the store differs")
        known = {link.position for link in links}
        for position, link in sorted(listed.items()):
            if position not in known and not self._in_database(link):
                self._find("unlisted", day, f"#{position} {link.path}", "the database has lost this link")

    def _in_database(self, link: Link) -> bool:
        """A link that was added and listed since the day was read."""
        with self._database.reading() as session:
            return link in chain_repository.links_of_path(session, link.path)

    def _file(self, link: Link) -> None:
        self._progress(link.path)
        kind, message = self._compare(link)
        if link.kind != REMOVED and kind != "missing":
            self._report.files += 1
            self._report.size_bytes += link.size_bytes
        if kind:
            with self._database.reading() as session:
                links = chain_repository.links_of_path(session, link.path)
            if links and links[-1] != link:  # it was replaced or removed while we read
                kind, message = self._compare(links[-1], links[:-1])
            else:
                kind, message = self._compare(link, links[:-1])
        if kind:
            self._find(kind, link.day, link.path, message)

    def _compare(self, link: Link, earlier: Iterable[Link] = ()) -> tuple[str, str]:
        """The kind of problem with a file and what to say of it; empty where it is as its link says."""
        if link.kind == REMOVED:
            there = self._store.exists(link.path)
            return ("left_over", f"removed at {link.at:%Y-%m-%d %H:%M}, but still in the store") if there else ("", "")
        try:
            size, digest = self._store.size(link.path), self._store.digest(link.path)
        except NotFoundError:
            return "missing", "not in the store"
        if (size, digest) == (link.size_bytes, link.sha256):
            return "", ""
        if any((size, digest) == (item.size_bytes, item.sha256) for item in earlier):
            return "unfinished", "still as it was before it was encrypted anew: run `hotline recordings rekey` again"
        return "changed", f"{size} bytes, {link.size_bytes} were stored" if size != link.size_bytes else "other content"

    def _rows(self, day: str, current: dict[str, Link], rows: Iterable[Recording]) -> None:
        """Recordings against links, both ways."""
        for row in rows:
            self._report.repaired += row.repaired
            with self._database.reading() as session:
                link = chain_repository.latest_of_path(session, row.path)
            if link is None:
                self._find("unchained", day, row.path, "the row's file is not in the chain")
            elif link.kind == REMOVED or (link.call_id, link.content_sha256) != (row.call_id, row.sha256):
                self._find("row", day, row.path, "the recording's row says otherwise than the chain")
        for path, link in current.items():
            name = PurePosixPath(path)
            if name.suffix in AUDIO_SUFFIXES and name.stem == link.call_id and not self._has_row(link):
                self._find("row", day, path, "the recording's row is gone or names another file")

    def _has_row(self, link: Link) -> bool:
        with self._database.reading() as session:
            recording = repository.find_recording(session, link.call_id)
            if recording is not None and recording.path == link.path:
                return True
            latest = chain_repository.latest_of_path(session, link.path)
            return latest is None or latest.kind == REMOVED  # meanwhile

    def _extra(self, day: str) -> None:
        names = self._store.names(day.replace("-", "/"))
        with self._database.reading() as session:
            unknown = chain_repository.unknown_paths(session, names)
        chained = {row for row in unknown if self._is_recording(row)}  # told as unchained by its row
        for name in unknown:
            if name not in chained and self._clock.now() - self._store.modified_at(name) > SETTLING:
                self._find("extra", day, name, "no link of the chain speaks of it")

    def _is_recording(self, path: str) -> bool:
        with self._database.reading() as session:
            return repository.recording_at(session, path) is not None

    def _folders(self, above: str) -> list[str]:
        """The days that the store has folders of, below a folder."""
        found = [above]
        for _ in ("year", "month", "day"):
            found = [name for folder in found for name in self._store.folders(folder)]
        days = [name.removeprefix(above).strip("/").replace("/", "-") for name in found]
        return [day for day in days if _is_day(day)]

    def _find(self, kind: str, day: str, subject: str, message: str) -> None:
        self._report.findings.append(Finding(kind, day, subject, message))


def by_kind(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Findings in the order of `PROBLEMS`."""
    order = list(PROBLEMS)
    for kind, group in groupby(sorted(findings, key=lambda item: order.index(item.kind)), key=lambda item: item.kind):
        yield kind, list(group)


def _is_day(text: str) -> bool:
    try:
        return parse_day(text).strftime(DAY_FORMAT) == text
    except InvalidInputError:
        return False
