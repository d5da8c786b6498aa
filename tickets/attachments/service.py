"""Bringing a photo or file to a ticket: checked, copied, stored, written down once. Services never commit.

The same bytes on the same ticket are the same attachment, so a phone on a bad network may send a photo again. The file
is in the store before its row is in the database: a row always has its file.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError
from hotline.settings import Settings
from recordings.store import RecordingStore
from tickets import command_rules as rules
from tickets.access import Viewer
from tickets.attachments import repository
from tickets.attachments.media import Group, MediaType, safe_name, sniff
from tickets.attachments.models import Attachment
from tickets.attachments.pictures import Picture, read_picture
from tickets.commands import CHANGED
from tickets.events import record_event
from tickets.lifecycle import Command, State, next_state
from tickets.models import Ticket
from tickets.repository import lock_ticket
from tickets.roles import Actor

ATTACHED = "attached"
PURPOSES = {"before": "处理前", "after": "处理后", "proof": "凭证", "document": "材料"}
FOLDER = "attachments"


@dataclass(frozen=True)
class Prepared:
    """A file that was looked at. `picture`: of a photo its copies and what it says."""

    data: bytes
    sha256: str
    name: str
    kind: MediaType
    purpose: str
    picture: Picture | None


def prepare(data: bytes, claimed_name: str, purpose: str, settings: Settings) -> Prepared:
    """Looks at a file; takes a tenth of a second for a photo and touches neither database nor store.

    Raises `InvalidInputError` for what is not taken.
    """
    limits = settings.field
    if purpose not in PURPOSES:
        raise InvalidInputError("没有这种附件用途", hint=f"可选：{'、'.join(PURPOSES.values())}")
    if len(data) > limits.max_file_bytes:
        raise InvalidInputError(f"文件超过 {limits.max_file_bytes >> 20} MB", hint="请压缩，或缩短视频后再上传")
    kind = sniff(data)
    picture = None
    if kind.group is Group.PICTURE:
        picture = read_picture(
            data,
            max_pixels=limits.max_pixels,
            shown_px=limits.shown_px,
            thumbnail_px=limits.thumbnail_px,
            zone=settings.zone,
        )
    return Prepared(data, hashlib.sha256(data).hexdigest(), safe_name(claimed_name, kind), kind, purpose, picture)


def check_may_attach(ticket: Ticket, actor: Actor) -> None:
    """Who may write a note may attach, as long as a note may be written. Raises `ForbiddenError`, `ConflictError`."""
    rules.check_role(Command.NOTE, actor)
    rules.check_unit(Command.NOTE, actor, lead=ticket.unit, units=frozenset(link.unit for link in ticket.units))
    next_state(State(ticket.state), Command.NOTE)


def path_of(number: str, created_at: datetime, sha256: str) -> str:
    """Where the original lies: by the day of the ticket, so that folders stay small."""
    return f"{FOLDER}/{created_at:%Y/%m/%d}/{number}/{sha256}"


def copy_path(attachment: Attachment, size: str) -> str:
    """Where the copy of a picture lies; `size`: shown or thumbnail."""
    return f"{attachment.path}-{size}.jpg"


def attach(
    database: Database,
    bus: Bus,
    store: RecordingStore,
    clock: Clock,
    *,
    number: str,
    prepared: Prepared,
    actor: Actor,
    viewer: Viewer,
    max_files: int,
) -> tuple[Attachment, bool]:
    """The attachment, and whether the ticket had it before.

    Raises `NotFoundError` for a ticket that the viewer may not know of, `ForbiddenError`, `ConflictError` where there
    are too many already, `UnavailableError` while the store is away.
    """
    with database.transaction() as session:
        ticket = lock_ticket(session, number, viewer)
        known = _check(session, ticket, prepared, actor, max_files)
        path = path_of(number, ticket.created_at, prepared.sha256)
    if known is not None:
        return known, True
    if prepared.picture is not None:
        store.put_bytes(prepared.picture.thumbnail, f"{path}-thumbnail.jpg")
        store.put_bytes(prepared.picture.shown, f"{path}-shown.jpg")
    store.put_bytes(prepared.data, path)
    now = clock.now()
    with database.transaction() as session:
        ticket = lock_ticket(session, number, viewer)
        known = _check(session, ticket, prepared, actor, max_files)
        if known is not None:
            return known, True
        attachment = _add(session, ticket, prepared, path, actor=actor, now=now)
    data = {"number": number, "ticket_id": ticket.id, "command": ATTACHED, "state": ticket.state}
    bus.publish(Event(name=CHANGED, at=now, data=data))
    return attachment, False


def _check(session: Session, ticket: Ticket, prepared: Prepared, actor: Actor, max_files: int) -> Attachment | None:
    check_may_attach(ticket, actor)
    known = repository.same_file(session, ticket.id, prepared.sha256)
    if known is None and repository.count_attachments(session, ticket.id) >= max_files:
        raise ConflictError(f"每张工单最多 {max_files} 个附件")
    return known


def _add(session: Session, ticket: Ticket, prepared: Prepared, path: str, *, actor: Actor, now: datetime) -> Attachment:
    facts = prepared.picture.facts if prepared.picture else None
    attachment = Attachment(
        ticket_id=ticket.id,
        name=prepared.name,
        media_type=prepared.kind.name,
        size_bytes=len(prepared.data),
        sha256=prepared.sha256,
        path=path,
        shown=prepared.picture is not None,
        purpose=prepared.purpose,
        taken_at=facts.taken_at if facts else None,
        latitude=facts.latitude if facts else None,
        longitude=facts.longitude if facts else None,
        by=actor.username,
        at=now,
    )
    session.add(attachment)
    session.flush()
    said = {"id": attachment.id, "name": attachment.name, "purpose": attachment.purpose, "size": attachment.size_bytes}
    record_event(session, ticket, ATTACHED, now=now, data=said, actor=actor.username, origin=actor.origin)
    return attachment
