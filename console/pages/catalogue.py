"""The dispatch catalogue: its versions and entries, a new table with a preview before it counts; and the units."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from console import auth, service
from console.catalogue_views import VersionRow, change_rows, entry_row, version_row
from console.context import ConsoleContext, client_address, context_of
from console.permissions import Permission
from console.rendering import render
from hotline.errors import InvalidInputError
from tickets.catalogue import COLUMNS, TOWN_UNIT, catalogue_notes, entry_cells
from tickets.catalogue_models import CatalogueVersion
from tickets.catalogue_repository import (
    EntryFilter,
    entries_of,
    entry_counts,
    entry_of,
    entry_page,
    version_by_id,
    version_in_force,
    versions,
)
from tickets.catalogue_service import add_version, diff_with, discard, put_in_force, read_catalogue, site_vocabulary
from tickets.sheets import write_csv, write_xlsx
from tickets.unit_repository import all_units
from tickets.unit_service import unit_data
from tickets.units import UNIT_KINDS, UnitData

router = APIRouter()
Keeper = Annotated[auth.Principal, Depends(auth.require(Permission.CATALOGUE))]
PAGE_SIZE = 100
SHOWN_VERSIONS = 20
SHOWN_FAULTS = 100
SHOWN_CHANGES = 500
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Line = Annotated[int, Query(ge=0, lt=2**31)]
VersionId = Annotated[int, Query(ge=0, lt=2**31)]


@router.get("/catalogue")
def show_catalogue(
    request: Request,
    _principal: Keeper,
    version: VersionId = 0,
    category: Annotated[str, Query(max_length=64)] = "",
    place: Annotated[str, Query(max_length=64)] = "",
    unit: Annotated[str, Query(max_length=32)] = "",
    after: Line = 0,
) -> HTMLResponse:
    """The entries of a version, by default of that in force, a page at a time."""
    context = context_of(request)
    wanted = EntryFilter(category.strip(), place.strip(), unit.strip())
    with context.database.reading() as session:
        listed, current = _versions(session, context)
        chosen = version or current
        units = _units(session)
        found = entry_page(session, chosen, wanted, after=after, limit=PAGE_SIZE + 1) if chosen else []
        if version:
            version_by_id(session, version)
        rows = [entry_row(entry_of(row), units) for row in found[:PAGE_SIZE]]
        last = found[PAGE_SIZE - 1].line if len(found) > PAGE_SIZE else 0
    criteria = {"category": wanted.category, "place": wanted.place, "unit": wanted.unit}
    criteria = {name: value for name, value in criteria.items() if value}
    first = {**({"version": str(version)} if version else {}), **criteria}
    return render(
        request,
        "catalogue.html",
        {
            "versions": listed,
            "current": current,
            **{name: criteria.get(name, "") for name in ("category", "place", "unit")},
            "chosen": next((row for row in listed if row.id == chosen), None),
            "chosen_id": chosen,
            "rows": rows,
            "units": sorted(units.values(), key=lambda each: each.name),
            "town_unit": TOWN_UNIT,
            "filtered": bool(criteria),
            "first_url": "/catalogue" + (f"?{urlencode(first)}" if first else ""),
            "clear_url": "/catalogue" + (f"?version={version}" if version else ""),
            "next_url": f"/catalogue?{urlencode({**first, 'after': last})}" if last else "",
            "on_first_page": not after,
        },
    )


@router.post("/catalogue", dependencies=[Depends(auth.check_csrf)])
def upload(
    request: Request,
    principal: Keeper,
    file: Annotated[UploadFile, File()],
    note: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Checks a table: with faults they are shown and nothing is kept; without, it is a draft with a preview."""
    context = context_of(request)
    name = (file.filename or "").replace("\\", "/").rpartition("/")[2] or "未命名"
    data = file.file.read()
    if not data:
        raise InvalidInputError("没有选择文件", hint="选择一个 XLSX 或 CSV 文件")
    with context.database.transaction() as session:
        known = site_vocabulary(session, context.settings)
        table = read_catalogue(data, known, context.settings.tickets)
        if table.faults:
            faults = [str(fault) for fault in table.faults]
            values = {"source": name, "faults": faults[:SHOWN_FAULTS], "more": len(faults[SHOWN_FAULTS:])}
            return render(request, "catalogue_faults.html", values, status=400)
        version = add_version(
            session,
            data,
            table.entries,
            source=name,
            actor=principal.username,
            now=context.clock.now(),
            note=note,
        )
        _audit(session, request, principal, "catalogue_import", version.id, name)
    return RedirectResponse(f"/catalogue/{version.id}", status_code=303)


@router.get("/catalogue/{version_id}")
def show_version(request: Request, _principal: Keeper, version_id: int, against: VersionId = 0) -> HTMLResponse:
    """What a version changes: of the one in force for a draft, else of the one before it, or of `against`."""
    context = context_of(request)
    now = context.clock.now()
    with context.database.reading() as session:
        version = version_by_id(session, _id(version_id))
        current = version_in_force(session, now)
        other = version_by_id(session, against) if against else current if version is not current else None
        if other is None and version.effective_from is not None:
            other = _before(session, version)
        units = _units(session)
        changes = diff_with(session, version, other)
        rows = change_rows(changes, units)
        count = entry_counts(session, [version.id]).get(version.id, 0)
        known = site_vocabulary(session, context.settings)
        values = {
            "current": current.id if current else 0,
            "version": version_row(version, entries=count, current=current.id if current else 0, now=now),
            "other": other.id if other else 0,
            "added": len(changes.added),
            "changed": len(changes.changed),
            "removed": len(changes.removed),
            "changes": rows[:SHOWN_CHANGES],
            "more": len(rows[SHOWN_CHANGES:]),
            "notes": catalogue_notes(entries_of(session, version.id), known) if version.effective_from is None else (),
        }
    return render(request, "catalogue_version.html", values)


@router.post("/catalogue/{version_id}/confirm", dependencies=[Depends(auth.check_csrf)])
def confirm(
    request: Request,
    principal: Keeper,
    version_id: int,
    effective: Annotated[str, Form(max_length=32)] = "",
) -> Response:
    """Puts a draft in force, now or from a moment of the site's time on."""
    context = context_of(request)
    now = context.clock.now()
    moment = _moment(effective.strip(), context) or now
    with context.database.transaction() as session:
        version = version_by_id(session, _id(version_id))
        put_in_force(session, version, site_vocabulary(session, context.settings), effective_from=moment, now=now)
        _audit(session, request, principal, "catalogue_confirm", version.id, version.note)
    return RedirectResponse("/catalogue", status_code=303)


@router.post("/catalogue/{version_id}/discard", dependencies=[Depends(auth.check_csrf)])
def discard_draft(request: Request, principal: Keeper, version_id: int) -> Response:
    """Removes a draft."""
    with context_of(request).database.transaction() as session:
        discard(session, _id(version_id))
        _audit(session, request, principal, "catalogue_discard", version_id, "")
    return RedirectResponse("/catalogue", status_code=303)


@router.get("/catalogue/{version_id}/export.{ending}")
def export(request: Request, _principal: Keeper, version_id: int, ending: str) -> Response:
    """A version as a table that can be imported again."""
    if ending not in ("xlsx", "csv"):
        raise InvalidInputError("只能导出 xlsx 或 csv")
    with context_of(request).database.reading() as session:
        version = version_by_id(session, _id(version_id))
        rows = list(entry_cells(entries_of(session, version.id), _units(session)))
    header = [column.names[0] for column in COLUMNS]
    data = write_xlsx("派单目录", header, rows) if ending == "xlsx" else write_csv(header, rows)
    headers = {"Content-Disposition": f'attachment; filename="catalogue-{version.id}.{ending}"'}
    return Response(data, media_type=XLSX if ending == "xlsx" else "text/csv; charset=utf-8", headers=headers)


@router.get("/units")
def show_units(request: Request, _principal: Keeper, kind: Annotated[str, Query(max_length=16)] = "") -> HTMLResponse:
    """Who handles tickets."""
    with context_of(request).database.reading() as session:
        units = _units(session)
    kinds = {code: names[0] for code, names in UNIT_KINDS.items()}
    counts = {code: sum(unit.kind == code for unit in units.values()) for code in kinds}
    rows = [unit for unit in units.values() if not kind or unit.kind == kind]
    order = list(kinds)
    rows.sort(key=lambda unit: (order.index(unit.kind) if unit.kind in kinds else len(order), unit.code))
    values = {"units": rows, "kinds": kinds, "counts": counts, "kind": kind, "total": len(units)}
    return render(request, "units.html", values)


def _versions(session: Session, context: ConsoleContext) -> tuple[list[VersionRow], int]:
    """The newest, and that in force; its number, 0 for none."""
    now = context.clock.now()
    found = versions(session, limit=SHOWN_VERSIONS)
    current = version_in_force(session, now)
    counts = entry_counts(session, [version.id for version in found])
    number = current.id if current else 0
    if current is not None and current not in found:
        found = [*found, current]
    rows = [version_row(each, entries=counts.get(each.id, 0), current=number, now=now) for each in found]
    return rows, number


def _before(session: Session, version: CatalogueVersion) -> CatalogueVersion | None:
    """The newest older version that is no draft."""
    older = (each for each in versions(session, limit=1000) if each.id < version.id and each.effective_from)
    return next(older, None)


def _units(session: Session) -> dict[str, UnitData]:
    return {row.code: unit_data(row) for row in all_units(session)}


def _id(version_id: int) -> int:
    """Within what every database takes."""
    return version_id if 0 <= version_id < 2**31 else 0


def _moment(text: str, context: ConsoleContext) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError("生效时间无效", hint="写成 2026-07-01T08:00，或留空立即生效") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=context.settings.zone)


def _audit(
    session: Session, request: Request, principal: auth.Principal, action: str, version: int, reason: str
) -> None:
    service.audit(
        session,
        at=context_of(request).clock.now(),
        username=principal.username,
        action=action,
        subject=f"第 {version} 版",
        address=client_address(request),
        reason=reason[:200],
    )
