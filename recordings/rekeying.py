"""Encrypts the store's files anew under the key in use: after a key was changed, or where there was none before.

A file keeps its name. Its new link is committed first and the file is replaced after it, so a run that is killed
in between leaves the old file, of which `verify` says that it is unfinished; the next run makes it good.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConfigurationError, DamagedError, HotlineError, UnavailableError
from recordings import chain_repository
from recordings.chain import REMOVED, REPLACED, Link
from recordings.chain_repository import Addition, append_links, latest_of_path
from recordings.store import RecordingStore

BATCH = 500


@dataclass
class Rekeyed:
    """How many files are encrypted anew, were so already, and could not be, with why."""

    files: int = 0
    already: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def rekey(
    database: Database, store: RecordingStore, *, clock: Clock, progress: Callable[[str], None] = lambda _: None
) -> Rekeyed:
    """Goes through all files of the chain. One that cannot be read is told and passed over.

    Raises `ConfigurationError` without a key, `UnavailableError` where store or database went away: run it again.
    """
    if store.keys is None:
        raise ConfigurationError("no key to encrypt under", hint="set recordings.key_file or recordings.key_command")
    done = Rekeyed()
    for link in _current_links(database):
        progress(link.path)
        try:
            if store.key_id(link.path) == store.keys.current.id:
                done.already += 1
            elif _replace(database, store, link, clock=clock):
                done.files += 1
        except UnavailableError:
            raise
        except HotlineError as error:
            done.failed.append((link.path, error.message))
    return done


def _current_links(database: Database) -> Iterator[Link]:
    position = 0
    with database.reading() as session:
        end, _ = chain_repository.chain_end(session)  # what comes after it is under the key in use
    while True:
        with database.reading() as session:
            links = chain_repository.current_links(session, after=position, until=end.position, limit=BATCH)
        if not links:
            return
        yield from links
        position = links[-1].position


def _replace(database: Database, store: RecordingStore, link: Link, *, clock: Clock) -> bool:
    """Whether it was done; not where the file was replaced or removed meanwhile."""
    with tempfile.TemporaryFile() as sealed:
        file = store.encrypt(link.path, sealed)
        if file.content_sha256 != link.content_sha256:
            raise DamagedError("other content than the chain says: `hotline recordings verify`")
        note = f"key {store.keys.current.id}" if store.keys else ""
        with database.transaction() as session:
            if latest_of_path(session, link.path) != link:
                return False
            append_links(session, [Addition(file, REPLACED, note)], call_id=link.call_id, now=clock.now())
        sealed.seek(0)
        store.put_as_it_is(sealed, link.path)
    with database.reading() as session:
        latest = latest_of_path(session, link.path)
    if latest is not None and latest.kind == REMOVED:  # while it was put
        store.delete(link.path)
    return True
