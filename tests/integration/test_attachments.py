"""Photos and files of tickets on both databases: once, within bounds, and only by those who may."""

import threading

import pytest
from attachment_files import docx, pdf, photo
from ticket_people import COMPANY, HANDLER, NUMBER, TOWN, Counter, add_ticket, seed_units

from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from hotline.settings import Settings
from recordings.store import RecordingStore
from tickets.access import Viewer
from tickets.attachments.models import Attachment
from tickets.attachments.repository import attachment_seen_by, attachments_of
from tickets.attachments.service import attach, copy_path, prepare
from tickets.commands import load_desk
from tickets.lifecycle import Command
from tickets.roles import Actor, Role


class Rig:
    """A ticket that the town works on, and a store."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.settings, self.database = settings, database
        self.counter = Counter(database, load_desk(settings))
        self.store = RecordingStore(settings.effective_recordings_url())
        self.bus, self.clock = MemoryBus(), ManualClock()
        with database.transaction() as session:
            seed_units(session)
            add_ticket(session, NUMBER, "c0ffee")
        self.counter.give(Command.DISPATCH, Command.SIGN_IN)

    def bring(
        self, data: bytes, *, actor: Actor = HANDLER, name: str = "IMG_1.jpg", purpose: str = "after", most: int = 9
    ) -> tuple[Attachment, bool]:
        return attach(
            self.database,
            self.bus,
            self.store,
            self.clock,
            number=NUMBER,
            prepared=prepare(data, name, purpose, self.settings),
            actor=actor,
            viewer=Viewer(actor.username, actor.role, actor.unit),
            max_files=most,
        )

    def kept(self) -> list[Attachment]:
        with self.database.reading() as session:
            return list(attachments_of(session, self.counter.ticket().id))


@pytest.fixture
def rig(database: Database, settings: Settings) -> Rig:
    return Rig(database, settings)


def test_a_photo_is_kept_whole_with_two_copies_and_told_without_its_place(rig: Rig) -> None:
    data = photo(2400, 1800)
    attachment, repeated = rig.bring(data, name="../现场.php")
    assert (repeated, attachment.name, attachment.media_type) == (False, "现场.jpg", "image/jpeg")
    assert attachment.latitude == pytest.approx(40.456612, abs=1e-4)
    with rig.store.open(attachment.path) as file:
        assert file.read() == data
    for size in ("shown", "thumbnail"):
        with rig.store.open(copy_path(attachment, size)) as file:
            copy = file.read()
        assert copy.startswith(b"\xff\xd8\xff")
        assert b"Exif" not in copy
    event = rig.counter.ticket().events[-1]
    assert (event.kind, event.actor) == ("attached", HANDLER.username)
    assert event.data == {"id": attachment.id, "name": "现场.jpg", "purpose": "after", "size": len(data)}
    assert rig.bus.published[-1].data["command"] == "attached"
    rig.counter.agrees()


def test_the_same_file_twice_is_one_attachment(rig: Rig) -> None:
    first, _ = rig.bring(photo())
    again, repeated = rig.bring(photo(), name="copy.jpg")
    assert repeated
    assert again.id == first.id
    assert len(rig.kept()) == 1
    assert [event.kind for event in rig.counter.ticket().events].count("attached") == 1


def test_a_photo_sent_by_four_threads_at_once_is_one_attachment(rig: Rig) -> None:
    data, ids = photo(), list[int]()
    threads = [threading.Thread(target=lambda: ids.append(rig.bring(data)[0].id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == len(rig.kept()) == 1


def test_bounds_are_kept(rig: Rig) -> None:
    for colour in ("black", "blue"):
        rig.bring(photo(colour=colour), most=2)
    with pytest.raises(ConflictError, match="最多 2 个"):
        rig.bring(pdf(), most=2)
    assert rig.bring(photo(colour="black"), most=2)[1]  # it is there already
    small = rig.settings.model_copy(
        update={"field": rig.settings.field.model_copy(update={"max_file_bytes": 1 << 16, "max_pixels": 1_000_000})}
    )
    with pytest.raises(InvalidInputError, match="超过"):
        prepare(b"\xff\xd8\xff" + bytes(1 << 16), "x", "after", small)
    with pytest.raises(InvalidInputError, match="百万像素"):
        prepare(photo(1200, 1200), "x", "after", small)
    with pytest.raises(InvalidInputError, match="用途"):
        prepare(pdf(), "x", "malware", small)


def test_people_of_units_without_a_part_know_nothing_of_it(rig: Rig) -> None:
    with pytest.raises(NotFoundError):
        rig.bring(pdf(), actor=Actor("x", Role.UNIT_HANDLER, "cgw"))
    rig.bring(pdf(), actor=Actor("y", Role.UNIT_HANDLER, COMPANY), purpose="document")
    for role in (Role.VIEWER, Role.AUDITOR):
        with pytest.raises(ForbiddenError):
            rig.bring(docx(), actor=Actor("z", role))
    (kept,) = rig.kept()
    with rig.database.reading() as session:
        assert attachment_seen_by(session, kept.id, Viewer("ban", Role.UNIT_HANDLER, TOWN)) is not None
        assert attachment_seen_by(session, kept.id, Viewer("x", Role.UNIT_HANDLER, "cgw")) is None
        assert attachment_seen_by(session, kept.id + 1, Viewer("guan", Role.ADMIN)) is None


def test_nothing_is_added_to_an_archived_ticket(rig: Rig) -> None:
    rig.counter.give(Command.SUBMIT, Command.APPROVE, Command.CLOSE, Command.ARCHIVE)
    with pytest.raises(ConflictError, match="已归档"):
        rig.bring(pdf())


def test_a_store_that_is_away_leaves_no_row(rig: Rig, settings: Settings) -> None:
    folder = settings.data_dir / "recordings" / "attachments"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(Exception, match="recording store"):
        rig.bring(photo())
    assert rig.kept() == []
    folder.unlink()
    assert rig.bring(photo())[1] is False
