"""The monthly report as a PDF, by WeasyPrint: HTML and CSS of our own in, nothing is fetched."""

import logging

from jinja2 import Environment

from console.monthly_report import Report
from console.rendering import PACKAGE
from hotline.errors import UnavailableError

STYLE = PACKAGE / "templates" / "report.css"


def as_html(report: Report, environment: Environment) -> str:
    """The page that is printed."""
    return environment.get_template("report.html").render(report=report)


def as_pdf(report: Report, environment: Environment) -> bytes:
    """The file; raises `UnavailableError` where WeasyPrint or Pango is missing."""
    try:
        from weasyprint import CSS, HTML
    except (ImportError, OSError) as error:  # OSError: Pango's library cannot be loaded
        raise UnavailableError(
            "本机不能生成 PDF：缺少 Pango", hint="安装 libpango-1.0-0 和 libpangoft2-1.0-0，或改用 DOCX"
        ) from error
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # tells every glyph otherwise
    style = CSS(string=STYLE.read_text(encoding="utf-8"), url_fetcher=_refuse)
    written = HTML(string=as_html(report, environment), url_fetcher=_refuse).write_pdf(stylesheets=[style])
    assert isinstance(written, bytes)
    return written


def _refuse(url: str) -> dict[str, object]:
    raise ValueError(f"a report fetches nothing: {url[:100]}")
