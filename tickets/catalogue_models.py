"""Rows of the dispatch catalogue: its versions and their entries."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base


class CatalogueVersion(Base):
    """One import. In force from `effective_from` until another takes effect; a draft (None) never is. No version that
    was ever in force is changed or removed: what was dispatched by it can be replayed."""

    __tablename__ = "catalogue_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    effective_from: Mapped[datetime | None] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    imported_by: Mapped[str] = mapped_column(String(64))
    imported_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(Text, default="")


class CatalogueEntry(Base):
    """Who handles what where; see `tickets.catalogue.Entry`."""

    __tablename__ = "catalogue_entries"
    __table_args__ = (Index(None, "version_id", "category"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("catalogue_versions.id"))
    line: Mapped[int]
    category: Mapped[str] = mapped_column(String(64))
    place: Mapped[str] = mapped_column(String(64))
    lead: Mapped[str] = mapped_column(String(32))
    co_units: Mapped[list[Any]]
    basis: Mapped[str] = mapped_column(String(200))
    auto_dispatch: Mapped[bool]
