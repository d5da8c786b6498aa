"""Queries of the hash chain, and adding to it: one writer at a time, whatever the number of workers."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session, aliased

from recordings.chain import REMOVED, STORED, Head, Kind, Link, StoredFile, head_of, next_link
from recordings.models import ChainHead, ChainLink

_HEAD_ID = 1

# One statement, the same on SQLite and PostgreSQL; it makes the row where there is none and locks it.
_LOCK_HEAD = text(
    "INSERT INTO chain_head (id, position, day, digest, listed) VALUES (:id, 0, '', :genesis, 0) "
    "ON CONFLICT (id) DO UPDATE SET listed = chain_head.listed"
)


@dataclass(frozen=True)
class Addition:
    """What a link is to say of a file."""

    file: StoredFile
    kind: Kind = STORED
    note: str = ""


def append_links(session: Session, additions: Iterable[Addition], *, call_id: str, now: datetime) -> None:
    """Adds links for files of a call. Do it last in a transaction: the chain is held until that ends."""
    row = _locked_head(session)
    head = Head(row.position, row.day, row.digest)
    for addition in additions:
        head, link = next_link(head, addition.file, kind=addition.kind, call_id=call_id, note=addition.note, now=now)
        session.add(ChainLink(**asdict(link)))
    row.position, row.day, row.digest = head.position, head.day, head.digest
    session.flush()


def remove_files(session: Session, call_id: str, *, note: str, now: datetime) -> list[StoredFile]:
    """Marks all files of a call as removed by rule; returns them. Delete them from the store after the commit.

    A file that stays behind then is found by `hotline recordings verify`.
    """
    files = current_files(session, call_id)
    append_links(session, [Addition(file, REMOVED, note) for file in files], call_id=call_id, now=now)
    return files


def current_files(session: Session, call_id: str) -> list[StoredFile]:
    """The files of a call that should be in the store, in the order in which they came."""
    latest: dict[str, ChainLink] = {}
    for row in session.scalars(select(ChainLink).where(ChainLink.call_id == call_id).order_by(ChainLink.position)):
        latest[row.path] = row
    return [file_of(row) for row in latest.values() if row.kind != REMOVED]


def file_of(row: ChainLink | Link) -> StoredFile:
    """The file that a link speaks of."""
    return StoredFile(name=row.path, sha256=row.sha256, size_bytes=row.size_bytes, content_sha256=row.content_sha256)


def paths_of_call(session: Session, call_id: str) -> frozenset[str]:
    """The files of a call that the chain speaks of, also those that were removed."""
    return frozenset(session.scalars(select(ChainLink.path).where(ChainLink.call_id == call_id)))


def latest_of_path(session: Session, path: str) -> Link | None:
    """The newest link that speaks of a file."""
    query = select(ChainLink).where(ChainLink.path == path).order_by(ChainLink.position.desc()).limit(1)
    row = session.scalar(query)
    return None if row is None else _link(row)


def links_of_path(session: Session, path: str) -> list[Link]:
    """All links that speak of a file, the oldest first."""
    query = select(ChainLink).where(ChainLink.path == path).order_by(ChainLink.position)
    return [_link(row) for row in session.scalars(query)]


def current_links(session: Session, *, after: int, until: int, limit: int) -> list[Link]:
    """The next links behind `after`, up to `until`, that are the newest of files which should be in the store."""
    later = aliased(ChainLink)
    superseded = select(later.position).where(later.path == ChainLink.path, later.position > ChainLink.position)
    query = (
        select(ChainLink)
        .where(ChainLink.position.between(after + 1, until), ChainLink.kind != REMOVED, ~superseded.exists())
        .order_by(ChainLink.position)
        .limit(limit)
    )
    return [_link(row) for row in session.scalars(query)]


def links_of_day(session: Session, day: str) -> list[tuple[Link, bool]]:
    """The links of a day in order, each with whether a later one speaks of the same file."""
    later = aliased(ChainLink)
    superseded = select(later.position).where(later.path == ChainLink.path, later.position > ChainLink.position)
    query = select(ChainLink, superseded.exists()).where(ChainLink.day == day).order_by(ChainLink.position)
    return [(_link(row), bool(known)) for row, known in session.execute(query)]


def unlisted_links(session: Session, *, limit: int) -> list[Link]:
    """The next links that no manifest has, all of one day."""
    listed = session.scalar(select(ChainHead.listed).where(ChainHead.id == _HEAD_ID)) or 0
    query = select(ChainLink).where(ChainLink.position > listed).order_by(ChainLink.position).limit(limit)
    rows = session.scalars(query).all()
    return [_link(row) for row in rows if row.day == rows[0].day]


def mark_listed(session: Session, position: int) -> None:
    """A manifest has all links up to `position`."""
    row = _locked_head(session)
    row.listed = max(row.listed, position)


def chain_end(session: Session) -> tuple[Head, int]:
    """The head that the database notes, and the last link that a manifest has."""
    row = session.get(ChainHead, _HEAD_ID)
    return (Head(), 0) if row is None else (Head(row.position, row.day, row.digest), row.listed)


def head_before(session: Session, day: str) -> Head:
    """The end of the chain before a day."""
    query = select(ChainLink).where(ChainLink.day < day).order_by(ChainLink.position.desc()).limit(1)
    row = session.scalar(query)
    return Head() if row is None else head_of(_link(row))


def days(session: Session) -> list[str]:
    """The days that have links, in order."""
    return list(session.scalars(select(ChainLink.day).distinct().order_by(ChainLink.day)))


def has_digest(session: Session, digest: str) -> bool:
    """Whether a link has this digest."""
    return session.scalar(select(ChainLink.position).where(ChainLink.digest == digest)) is not None


def unknown_paths(session: Session, paths: Sequence[str]) -> list[str]:
    """Those of `paths` that no link speaks of."""
    known: set[str] = set()
    for start in range(0, len(paths), 500):  # SQLite bounds the parameters of a statement
        query = select(ChainLink.path).where(ChainLink.path.in_(paths[start : start + 500]))
        known.update(session.scalars(query))
    return [path for path in paths if path not in known]


def _locked_head(session: Session) -> ChainHead:
    session.execute(_LOCK_HEAD, {"id": _HEAD_ID, "genesis": Head().digest})
    return session.get_one(ChainHead, _HEAD_ID, populate_existing=True)


def _link(row: ChainLink) -> Link:
    return Link(**{name: getattr(row, name) for name in Link.__dataclass_fields__})
