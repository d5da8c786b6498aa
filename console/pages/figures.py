"""Figures and the three rates: pages, drill-down to why each ticket counts, files to take along."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from console import auth, figure_views, service, tabular
from console.context import ConsoleContext, client_address, context_of
from console.permissions import Permission
from console.rendering import render
from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError
from tickets.figure_models import Publication
from tickets.figure_repository import draft, mark
from tickets.figures import Span
from tickets.formulas import Formula, RatePeriod, load_formulas, month_period, period_at
from tickets.rate_repository import cases_for, publication_by_id, publications
from tickets.rate_service import compute, published_outputs
from tickets.rates import VARIANTS, WITHOUT, Verdict, explain
from tickets.roles import UNIT_ROLES
from tickets.unit_repository import all_units, unit_by_code

router = APIRouter()
SHOWN_TICKETS = 500
Reader = Annotated[auth.Principal, Depends(auth.require(Permission.FIGURES))]
Day = Annotated[str, Query(max_length=10)]
Short = Annotated[str, Query(max_length=32)]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = {"xlsx": (XLSX, tabular.as_xlsx), "csv": ("text/csv; charset=utf-8", tabular.as_csv)}


@dataclass(frozen=True)
class RatesView:
    """The rates of a period as a page shows them. `publication`: None for what the rows say now."""

    formula: Formula
    period: RatePeriod
    outputs: dict[str, Any]
    computed_at: datetime
    publication: Publication | None


@router.get("/figures")
def show_figures(
    request: Request,
    principal: Reader,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> HTMLResponse:
    """Volumes, answer times, clocks, the most frequent categories and places, beside the days before."""
    context = context_of(request)
    span = _span(context, first, last)
    with context.database.reading() as session:
        view = figure_views.overview(session, span, unit=own_unit(principal))
        units = {unit.code: unit.name for unit in all_units(session)}
        counted = mark(session)
    tables = figure_views.figure_tables(view, units)
    values = {
        "span": span,
        "view": view,
        "tiles": figure_views.tiles(view),
        "charts": figure_views.charts(view),
        "tables": [table for table in tables if table.title not in ("概况", "每日")],
        "unit_name": units.get(view.unit, view.unit),
        "counted_at": counted.refreshed_at if counted else None,
        "last_month": f"{span.last:%Y-%m}",
    }
    return render(request, "figures.html", values)


@router.get("/figures.{ending}")
def export_figures(
    request: Request,
    principal: Reader,
    ending: str,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> Response:
    """The same as a file; logged."""
    context = context_of(request)
    span = _span(context, first, last)
    with context.database.reading() as session:
        view = figure_views.overview(session, span, unit=own_unit(principal))
        units = {unit.code: unit.name for unit in all_units(session)}
    name = f"figures-{span.first}-{span.last}"
    return _file(request, principal, ending, name, figure_views.figure_tables(view, units))


@router.get("/rates")
def show_rates(
    request: Request, principal: Reader, period: Short = "", variant: Short = WITHOUT, publication: int = 0
) -> HTMLResponse:
    """The three rates by units, places, categories and sources."""
    context = context_of(request)
    _check_variant(variant)
    with context.database.reading() as session:
        view = rates_view(session, context, period, publication)
        listed = publications(session)
        unit = own_unit(principal)
        tables = _tables(view, variant, unit)
    values = {
        "view": view,
        "period_words": view.period.words(context.settings.zone),
        "variant": variant,
        "variants": VARIANTS,
        "tables": tables,
        "own": unit,
        "lines": {name: view.outputs[variant][name] for name in figure_views.UNIT_TABLES},
        "publications": listed,
        "query": f"period={view.period.name}&variant={variant}"
        + (f"&publication={publication}" if publication else ""),
    }
    return render(request, "rates.html", values)


@router.get("/rates.{ending}")
def export_rates(
    request: Request,
    principal: Reader,
    ending: str,
    period: Short = "",
    variant: Short = WITHOUT,
    publication: int = 0,
) -> Response:
    """The same as a file; logged."""
    context = context_of(request)
    _check_variant(variant)
    with context.database.reading() as session:
        view = rates_view(session, context, period, publication)
        tables = _tables(view, variant, own_unit(principal))
    return _file(request, principal, ending, f"rates-{view.period.name}-{variant}", list(tables.values()))


@router.get("/rates/units/{code}")
def show_unit(request: Request, principal: Reader, code: str, period: Short = "") -> HTMLResponse:
    """Why each ticket of a unit counts or does not."""
    context = context_of(request)
    formula, span, unit, verdicts = _verdicts(context, principal, code, period)
    values = {
        "unit": unit,
        "formula": formula,
        "period": span,
        "period_words": span.words(context.settings.zone),
        "verdicts": verdicts[:SHOWN_TICKETS],
        "more": max(0, len(verdicts) - SHOWN_TICKETS),
    }
    return render(request, "rate_unit.html", values)


@router.get("/rates/units/{code}/tickets.{ending}")
def export_unit(request: Request, principal: Reader, code: str, ending: str, period: Short = "") -> Response:
    """The same as a file; logged."""
    _, span, unit, verdicts = _verdicts(context_of(request), principal, code, period)
    rows = tuple(
        (
            item.case.number,
            item.case.category.replace("/", " / "),
            item.case.town,
            *("计入" if variant in item.variants else "不计" for variant in VARIANTS),
            item.reason,
        )
        for item in verdicts
    )
    table = tabular.Table(
        unit.name, ("工单", "类别", "属地", *VARIANTS.values(), "说明"), rows, f"统计周期 {span.name}"
    )
    return _file(request, principal, ending, f"rates-{span.name}-{code}", [table])


def own_unit(principal: auth.Principal) -> str:
    """The unit that this person's figures are limited to, "" for all; raises `ForbiddenError` without one."""
    if principal.role not in UNIT_ROLES:
        return ""
    if not principal.unit:
        raise ForbiddenError("您的账号没有所属单位，不能查看统计", hint="请联系管理员")
    return principal.unit


def _verdicts(
    context: ConsoleContext, principal: auth.Principal, code: str, period: str
) -> tuple[Formula, RatePeriod, Any, list[Verdict]]:
    limited = own_unit(principal)
    if limited and code != limited:
        raise ForbiddenError("您只能查看本单位的工单")
    formula, span = _period(context, period)
    with context.database.reading() as session:
        unit = unit_by_code(session, code)
        cases = cases_for(session, span, principal.viewer, unit=code)
    return formula, span, unit, [explain(case, formula, span, context.settings.zone) for case in cases]


def rates_view(session: Session, context: ConsoleContext, period: str, publication: int) -> RatesView:
    """What was published under that number; 0: the draft of the period, or what the rows say now."""
    if publication:
        found = publication_by_id(session, publication)
        span = RatePeriod(found.period, found.period_begin, found.period_end)
        formula = Formula.of_text(found.formula_text)
        return RatesView(formula, span, published_outputs(found), found.published_at, found)
    formula, span = _period(context, period)
    kept = draft(session, span.name)
    if kept is not None and kept.formula == formula.name:
        return RatesView(formula, span, json.loads(kept.outputs), kept.computed_at, None)
    reckoned = compute(session, formula, span)
    outputs = json.loads(json.dumps(reckoned.outputs))
    return RatesView(formula, span, outputs, context.clock.now(), None)


def _tables(view: RatesView, variant: str, unit: str) -> dict[str, tabular.Table]:
    note = f"统计周期 {view.period.name}，口径 {view.formula.name}，{VARIANTS[variant]}"
    return figure_views.rate_tables(view.outputs[variant], view.formula, note, unit=unit)


def _period(context: ConsoleContext, name: str) -> tuple[Formula, RatePeriod]:
    formulas = load_formulas(context.settings.tickets.rates_path)
    if name:
        return month_period(formulas, name, context.settings.zone)
    return period_at(formulas, context.clock.now(), context.settings.zone)


def _span(context: ConsoleContext, first: str, last: str) -> Span:
    today = context.clock.now().astimezone(context.settings.zone).date()
    if not first and not last:
        return figure_views.default_span(today)
    try:
        begin = date.fromisoformat(first) if first else date.fromisoformat(last)
        return Span(begin, date.fromisoformat(last) if last else max(begin, today))
    except ValueError:
        raise InvalidInputError("日期无效", hint="写作 2026-11-01") from None


def _check_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise InvalidInputError("没有这种口径", hint=f"可选：{'、'.join(VARIANTS)}")


def _file(
    request: Request, principal: auth.Principal, ending: str, name: str, tables: Sequence[tabular.Table]
) -> Response:
    if ending not in FILES:
        raise NotFoundError(f"没有这种格式：{ending[:16]}", hint=f"可选 {'、'.join(FILES)}")
    media_type, write = FILES[ending]
    log_export(request, principal, f"{name}.{ending}")
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    return Response(write(tables), media_type=media_type, headers=headers)


def log_export(request: Request, principal: auth.Principal, name: str) -> None:
    """Who took which file."""
    context = context_of(request)
    with context.database.transaction() as session:
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="export_figures",
            subject=name[:128],
            address=client_address(request),
        )
