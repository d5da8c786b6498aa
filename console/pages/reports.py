"""The monthly report as a file; each time is logged."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from jinja2 import Environment

from console import figure_views
from console.context import context_of
from console.monthly_report import RatesOfMonth, monthly_report
from console.pages.figures import Reader, log_export, own_unit, rates_view
from hotline.errors import ForbiddenError
from tickets.figures import month_span
from tickets.rate_repository import current_publication
from tickets.unit_repository import all_units

router = APIRouter()
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@router.get("/reports/{month}.{ending}")
def export_report(request: Request, principal: Reader, month: str, ending: Literal["docx", "pdf"]) -> Response:
    """A month of the whole site: not for people of a unit."""
    if own_unit(principal):
        raise ForbiddenError("月报包含全区数据，您只能查看本单位的统计")
    context = context_of(request)
    span = month_span(month)
    with context.database.reading() as session:
        view = figure_views.overview(session, span)
        units = {unit.code: unit.name for unit in all_units(session)}
        published = current_publication(session, month)
        found = rates_view(session, context, month, published.id if published else 0)
    rates = RatesOfMonth(
        found.formula,
        found.period,
        found.period.words(context.settings.zone),
        found.outputs,
        published.id if published else None,
    )
    made_at = context.clock.now().astimezone(context.settings.zone)
    report = monthly_report(
        view, rates, site_name=context.settings.site_name, units=units, made_at=made_at, made_by=principal.display_name
    )
    if ending == "pdf":
        from console.report_pdf import as_pdf

        environment: Environment = request.app.state.templates
        body, media_type = as_pdf(report, environment), "application/pdf"
    else:
        from console.report_docx import as_docx

        body, media_type = as_docx(report, made_at=made_at), DOCX
    log_export(request, principal, f"report-{month}.{ending}")
    headers = {"Content-Disposition": f'attachment; filename="report-{month}.{ending}"'}
    return Response(body, media_type=media_type, headers=headers)
