"""Changes the units. Never commits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from hotline.errors import ConflictError
from hotline.settings_sections import TicketSettings
from tickets.models import Unit
from tickets.sheets import Bounds
from tickets.unit_repository import all_units, unit_by_code
from tickets.units import UnitChanges, UnitData, plan_units


def import_bounds(settings: TicketSettings) -> Bounds:
    """How large a table may be."""
    return Bounds(settings.max_import_bytes, settings.max_import_unpacked_bytes, settings.max_import_rows)


def unit_data(row: Unit) -> UnitData:
    """A row as the pure code knows it."""
    return UnitData(row.code, row.name, row.kind, row.email, row.phone, row.active)


def import_units(session: Session, given: Sequence[UnitData], *, dry_run: bool = False) -> UnitChanges:
    """Adds and changes units; raises `InvalidInputError` where two would have one name."""
    rows = {row.code: row for row in all_units(session)}
    changes = plan_units([unit_data(row) for row in rows.values()], given)
    if dry_run:
        return changes
    renamed = [unit for unit in changes.changed if rows[unit.code].name != unit.name]
    for unit in renamed:  # names may go round among units, and are unique at every moment
        rows[unit.code].name = f"{unit.code}\ufffd"
    session.flush()
    for unit in changes.changed:
        _write(rows[unit.code], unit)
    session.add_all(_write(Unit(code=unit.code), unit) for unit in changes.added)
    session.flush()
    return changes


def add_unit(session: Session, unit: UnitData) -> Unit:
    """A new unit; raises `ConflictError` where there is one of that code or name."""
    for known in all_units(session):
        if known.code == unit.code or known.name == unit.name:
            raise ConflictError(f"已有单位 {known.code} {known.name}", hint="用 `hotline units change` 更改")
    row = _write(Unit(code=unit.code), unit)
    session.add(row)
    session.flush()
    return row


def change_unit(session: Session, code: str, **fields: Any) -> Unit:
    """Gives a unit other values; raises `NotFoundError`, `InvalidInputError`."""
    row = unit_by_code(session, code)
    import_units(session, [replace(unit_data(row), **fields)])
    return row


def _write(row: Unit, unit: UnitData) -> Unit:
    row.name, row.kind, row.email, row.phone, row.active = unit.name, unit.kind, unit.email, unit.phone, unit.active
    return row
