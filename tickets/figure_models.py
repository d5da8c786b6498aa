"""Rows of figures: what was published, with everything it was reckoned from."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, Text, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from hotline.db import Base
from hotline.errors import ConflictError


class Publication(Base):
    """The three rates of a period as they were published; never changed or deleted (triggers refuse it as well).

    `inputs`: `tickets.publication.inputs_text`, packed; `inputs_sha256` covers the formula and the inputs. A correction
    is another publication, which names the one it corrects.
    """

    __tablename__ = "publications"

    id: Mapped[int] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(String(32), index=True)
    period_begin: Mapped[datetime]
    period_end: Mapped[datetime]
    formula: Mapped[str] = mapped_column(String(32))
    formula_text: Mapped[str] = mapped_column(Text)
    inputs: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    inputs_sha256: Mapped[str] = mapped_column(String(64))
    cases: Mapped[int]
    outputs: Mapped[str] = mapped_column(Text, deferred=True)
    outputs_sha256: Mapped[str] = mapped_column(String(64))
    published_at: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("publications.id"), unique=True)


def _refuse(_mapper: Mapper[Any], _connection: object, publication: Publication) -> None:
    raise ConflictError(f"publication {publication.id} cannot be changed", hint="publish a correction")


event.listen(Publication, "before_update", _refuse)
event.listen(Publication, "before_delete", _refuse)
