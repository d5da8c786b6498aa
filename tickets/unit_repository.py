"""Queries for units."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.errors import InvalidInputError, NotFoundError
from tickets.models import Unit


def unit_by_code(session: Session, code: str) -> Unit:
    """The unit; raises `NotFoundError`."""
    unit = session.get(Unit, code)
    if unit is None:
        raise NotFoundError(f"没有代码为 {code[:32]} 的承办单位", hint="`hotline units list` 列出全部单位")
    return unit


def all_units(session: Session) -> Sequence[Unit]:
    """All units, by code."""
    return session.scalars(select(Unit).order_by(Unit.code)).all()


def check_units(session: Session, codes: Collection[str]) -> None:
    """Raises `InvalidInputError` naming the codes that are no unit, or of one that is active no more."""
    known = set(session.scalars(select(Unit.code).where(Unit.code.in_(codes), Unit.active)))
    unknown = sorted(set(codes) - known)
    if unknown:
        raise InvalidInputError(f"没有这些承办单位，或已停用：{'、'.join(unknown)}")
