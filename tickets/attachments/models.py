"""Rows of a ticket's photos and files, and of the links that repair crews are given."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base


class Attachment(Base):
    """A file that somebody brought. `path`: the original's name in the recording store; `shown`: it is a picture, and
    copies lie beside it. `taken_at`, `latitude` and `longitude` are what the photo itself says."""

    __tablename__ = "attachments"
    __table_args__ = (UniqueConstraint("ticket_id", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    name: Mapped[str] = mapped_column(String(128))
    media_type: Mapped[str] = mapped_column(String(96))
    size_bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    shown: Mapped[bool] = mapped_column(default=False)
    purpose: Mapped[str] = mapped_column(String(16))
    taken_at: Mapped[datetime | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class FieldLink(Base):
    """A link by which a crew without an account works on one ticket. Of the token and of the browser that opened it
    first only the SHA-256 is stored. `crew`: who; `phone`: where the link was sent, if anywhere."""

    __tablename__ = "field_links"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    unit: Mapped[str] = mapped_column(String(32))
    crew: Mapped[str] = mapped_column(String(64))
    phone: Mapped[str] = mapped_column(String(32), default="")
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    device_hash: Mapped[str] = mapped_column(String(64), default="")
    opened_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
