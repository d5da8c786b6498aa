"""A transcript as a Word document for a file: title, particulars, the sentences as a table, numbered pages. Pure.

Fonts are named for Latin and for East Asian letters apart, as Word chooses them by script (ECMA-376 part 1, 17.3.2.26).
"""

import io
import re

from docx import Document
from docx.document import Document as DocumentType
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from docx.table import Table, _Cell, _Row
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from console import labels
from console.rendering import clock_time, local_time
from console.transcript_file import TranscriptFile, text_of

LATIN, TITLE_FONT, TEXT_FONT = "Times New Roman", "宋体", "仿宋"
TEXT_SIZE, SMALL = Pt(12), Pt(10.5)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 production 2


def as_docx(transcript: TranscriptFile) -> bytes:
    """The document."""
    document = Document()
    _page(document, transcript)
    _line(document.add_paragraph(), f"{transcript.site_name}通话记录", font=TITLE_FONT, size=Pt(20), bold=True)
    _line(document.add_paragraph(), f"工单号：{transcript.number}")
    _particulars(document, transcript)
    _sentences(document, transcript)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _page(document: DocumentType, transcript: TranscriptFile) -> None:
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = LATIN, TEXT_SIZE
    format_ = normal.element.get_or_add_rPr()
    format_.get_or_add_rFonts().set(qn("w:eastAsia"), TEXT_FONT)
    language = OxmlElement("w:lang")  # how punctuation stands in its cell is a matter of language
    language.set(qn("w:val"), "zh-CN")
    language.set(qn("w:eastAsia"), "zh-CN")
    format_.append(language)
    document.styles["Footer"].font.size = Pt(9)
    normal.paragraph_format.space_after = Pt(0)
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.top_margin = section.bottom_margin = Cm(2.5)
    section.left_margin = section.right_margin = Cm(2.6)
    _line(section.header.paragraphs[0], f"{transcript.site_name}　{transcript.number}", size=Pt(9))
    footer = section.footer.paragraphs[0]
    _line(footer, "第 ", size=Pt(9))
    for before, field, after in (("", "PAGE", " 页　共 "), ("", "NUMPAGES", " 页")):
        footer.add_run(before)
        _field(footer.add_run(), field)
        footer.add_run(after)
    properties = document.core_properties
    properties.title = f"{transcript.number} 通话记录"
    properties.author = _clean(transcript.site_name)
    properties.created = properties.modified = transcript.exported_at.replace(tzinfo=None)


def _particulars(document: DocumentType, transcript: TranscriptFile) -> None:
    model = "（演示模型，听不懂真人说话）" if transcript.demo_model else ""
    rows = [
        ("通话时间", local_time(transcript.started_at, transcript.zone)),
        ("通话时长", clock_time(transcript.duration_ms)),
        *((fact.name, fact.value) for fact in transcript.facts if fact.value),
        ("转写", f"{transcript.engine} {transcript.model}，第 {transcript.version} 版{model}"),
        ("号码", "已隐去" if transcript.masked else "完整"),
        ("导出", f"{local_time(transcript.exported_at, transcript.zone)}，{transcript.exported_by}"),
    ]
    table = _table(document, (Cm(3.2), Cm(12.6)))
    for name, value in rows:
        cells = _row(table).cells
        _write(cells[0], name, bold=True)
        _write(cells[1], value)
    document.add_paragraph()


def _sentences(document: DocumentType, transcript: TranscriptFile) -> None:
    table = _table(document, (Cm(2), Cm(2.2), Cm(11.6)))
    heading = _row(table)
    for cell, name in zip(heading.cells, ("时间", "说话人", "内容"), strict=True):
        _write(cell, name, bold=True)
    heading._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))  # repeated on every page
    for item in transcript.utterances:
        row = _row(table)
        row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        for cell, value in zip(
            row.cells,
            (clock_time(item.start_ms), labels.label(labels.SPEAKERS, item.speaker), text_of(item.words)),
            strict=True,
        ):
            _write(cell, value)
    if not transcript.utterances:
        _line(document.add_paragraph(), "（没有转写文字）")


def _table(document: DocumentType, widths: tuple[Cm, ...]) -> Table:
    table: Table = document.add_table(rows=0, cols=len(widths), style="Table Grid")
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return table


def _row(table: Table) -> _Row:
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    return row


def _write(cell: _Cell, text: str, *, bold: bool = False) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(2)
    run = paragraph.add_run(_clean(text))
    run.font.size, run.bold = SMALL, bold


def _line(paragraph: Paragraph, text: str, *, font: str = TEXT_FONT, size: Pt = TEXT_SIZE, bold: bool = False) -> None:
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.space_after = Pt(6)
    run = paragraph.add_run(_clean(text))
    run.font.name, run.font.size, run.bold = LATIN, size, bold
    run._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), font)


def _field(run: Run, name: str) -> None:
    """A field that Word fills in, such as the page's number (17.16)."""
    for kind in ("begin", "", "end"):
        if kind:
            part = OxmlElement("w:fldChar")
            part.set(qn("w:fldCharType"), kind)
        else:
            part = OxmlElement("w:instrText")
            part.text = name
        run._element.append(part)


def _clean(text: str) -> str:
    """`text` without what XML cannot hold."""
    return _NOT_XML.sub("", text)
