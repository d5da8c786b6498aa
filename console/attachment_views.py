"""A ticket's photos and files as a page shows them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console import labels
from tickets.attachments.links import CREW
from tickets.attachments.media import TYPES, Group
from tickets.attachments.models import Attachment
from tickets.attachments.service import PURPOSES


@dataclass(frozen=True, kw_only=True)
class AttachmentRow:
    """`taken_at` and `place` (latitude, longitude) are None for who may not see them."""

    id: int
    name: str
    kind: str
    purpose: str
    size: str
    by: str
    at: datetime
    shown: bool
    document: bool
    taken_at: datetime | None
    place: str


def attachment_rows(attachments: Iterable[Attachment], *, full: bool) -> list[AttachmentRow]:
    """`full`: this person has given a reason to see what is personal."""
    return [
        AttachmentRow(
            id=item.id,
            name=item.name,
            kind=TYPES[item.media_type].label,
            purpose=labels.label(PURPOSES, item.purpose),
            size=size_text(item.size_bytes),
            by=who(item.by),
            at=item.at,
            shown=item.shown,
            document=TYPES[item.media_type].group is not Group.PICTURE,
            taken_at=item.taken_at if full else None,
            place=f"{item.latitude:.5f}, {item.longitude:.5f}"
            if full and item.latitude is not None and item.longitude is not None
            else "",
        )
        for item in attachments
    ]


def who(username: str) -> str:
    """A name for people.

    >>> who("link:7"), who("ban")
    ('维修人员（链接 7）', 'ban')
    """
    return f"维修人员（链接 {username.removeprefix(CREW)}）" if username.startswith(CREW) else username


def size_text(size_bytes: int) -> str:
    """How large a file is.

    >>> size_text(900), size_text(2_600_000)
    ('1 KB', '2.5 MB')
    """
    return f"{size_bytes / (1 << 20):.1f} MB" if size_bytes >= 1 << 20 else f"{max(1, round(size_bytes / 1024))} KB"
