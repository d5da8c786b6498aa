"""The monthly report as a Word document: a cover, numbered chapters, charts as pictures, tables. Pure."""

import io
from datetime import datetime

from docx.document import Document as DocumentType
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.shared import Cm, Pt

from console.bars import FOOT, Columns
from console.monthly_report import Report, Section
from console.tabular import Table, text_width
from console.word import TITLE_FONT, heading_row, line, new_document, new_row, new_table, write

WIDTH_CM = 15.8
SCALE = 3
"""Pixels of a chart's picture for each unit of its drawing."""
BLUE, GREY, INK = "#175c96", "#c8d0d8", "#465362"


def as_docx(report: Report, *, made_at: datetime) -> bytes:
    """The document."""
    document = new_document(
        header=f"{report.site_name}　{report.title}", title=report.title, author=report.site_name, made_at=made_at
    )
    document.sections[0].different_first_page_header_footer = True
    _cover(document, report)
    for title, section in report.numbered():
        _section(document, title, section)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _cover(document: DocumentType, report: Report) -> None:
    for _ in range(7):
        document.add_paragraph()
    line(document.add_paragraph(), report.site_name, font=TITLE_FONT, size=Pt(26), bold=True)
    line(document.add_paragraph(), report.title, font=TITLE_FONT, size=Pt(22), bold=True)
    line(document.add_paragraph(), report.subtitle, size=Pt(16))
    for _ in range(14):
        document.add_paragraph()
    line(document.add_paragraph(), f"编制：{report.made}", size=Pt(12))
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)


def _section(document: DocumentType, title: str, section: Section) -> None:
    heading = document.add_paragraph()
    line(heading, title, font=TITLE_FONT, size=Pt(16), bold=True)
    heading.alignment = WD_ALIGN_PARAGRAPH.LEFT
    heading.paragraph_format.keep_with_next = True
    for sentence in section.sentences:
        paragraph = document.add_paragraph()
        line(paragraph, sentence)
        paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
        paragraph.paragraph_format.first_line_indent = Pt(24)
        paragraph.paragraph_format.line_spacing = 1.5
    for chart in section.charts:
        caption = document.add_paragraph()
        line(caption, f"{chart.title}（上沿 {chart.top}）", size=Pt(10.5), bold=True)
        caption.paragraph_format.keep_with_next = True
        document.add_picture(io.BytesIO(picture(chart)), width=Cm(WIDTH_CM))
    for table in section.tables:
        _table(document, table)


def _table(document: DocumentType, table: Table) -> None:
    caption = document.add_paragraph()
    line(caption, table.title, size=Pt(11), bold=True)
    caption.paragraph_format.keep_with_next = True
    shares = [_share(table, column) for column in range(len(table.columns))]
    widths = tuple(Cm(WIDTH_CM * share / sum(shares)) for share in shares)
    made = new_table(document, widths)
    heading = new_row(made)
    heading_row(heading)
    for cell, name in zip(heading.cells, table.columns, strict=True):
        write(cell, name, bold=True)
    for row in table.rows:
        for cell, value in zip(new_row(made).cells, row, strict=True):
            write(cell, f"{value:,}" if isinstance(value, int) else str(value))
    if not table.rows:
        cells = new_row(made).cells
        write(cells[0].merge(cells[-1]), "没有数据")
    document.add_paragraph()


def _share(table: Table, column: int) -> int:
    longest = max(map(text_width, (table.columns[column], *(str(row[column]) for row in table.rows))))
    return min(22, max(8, longest + 3))


def picture(chart: Columns) -> bytes:
    """A chart as PNG. Its labels are figures, which every machine can draw."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (chart.width * SCALE, chart.height * SCALE), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=12 * SCALE)
    for y in (12.0, (12 + chart.base) / 2, float(chart.base)):
        draw.line([(12 * SCALE, y * SCALE), ((chart.width - 12) * SCALE, y * SCALE)], fill=GREY, width=SCALE)
    for column in chart.columns:
        left, upper = column.x * SCALE, column.y * SCALE
        if column.count:
            draw.rectangle([left, upper, left + column.width * SCALE, chart.base * SCALE], fill=BLUE)
        if column.label:
            middle = left + column.width * SCALE / 2
            draw.text((middle, (chart.base + FOOT / 2) * SCALE), column.label, fill=INK, font=font, anchor="mm")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
