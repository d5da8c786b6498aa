"""Files of the store between the chain and the disk: noted before they are made or unlinked, so that a crash at any
point leaves none behind that nobody knows of.

A note says that a file may lie in the store although no link says so, or although one says that it is removed. An
attempt that is still under way while its note is settled finds that it is gone, and gives up.
"""

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline.db import Base, Database
from recordings.chain import REMOVED
from recordings.chain_repository import latest_of_path
from recordings.store import RecordingStore


class LooseFile(Base):
    """A note. `owner`: the attempt that wrote it and alone may go on with the file."""

    __tablename__ = "loose_files"

    path: Mapped[str] = mapped_column(String(255), primary_key=True)
    call_id: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(32))


def locked_note(session: Session, path: str) -> LooseFile | None:
    """The note of a file, held by this transaction."""
    return session.get(LooseFile, path, with_for_update=True, populate_existing=True)


def settle(database: Database, store: RecordingStore, *, call_id: str = "") -> int:
    """Deletes the files that are noted, of one call or of all; how many notes there were.

    Raises `UnavailableError` while store or database are away; then the notes stay.
    """
    query = select(LooseFile.path)
    with database.reading() as session:
        paths = session.scalars(query.where(LooseFile.call_id == call_id) if call_id else query).all()
    return sum(settle_file(database, store, path) for path in paths)


def settle_file(database: Database, store: RecordingStore, path: str, *, owner: str = "") -> bool:
    """Deletes one file that is noted (by `owner`), unless the chain has it; whether there was such a note.

    The note is held meanwhile, so that nobody makes a file of this name before it is gone.
    """
    with database.transaction() as session:
        note = locked_note(session, path)
        if note is None or note.owner != (owner or note.owner):
            return False
        latest = latest_of_path(session, path)
        if latest is None or latest.kind == REMOVED:
            store.delete(path)
        session.delete(note)
    return True
