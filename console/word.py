"""Word documents as offices expect them: pages, fonts, lines and tables that the console's documents share.

Fonts are named for Latin and for East Asian letters apart, as Word chooses them by script (ECMA-376 part 1, 17.3.2.26).
"""

import re
from datetime import datetime

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

LATIN, TITLE_FONT, TEXT_FONT = "Times New Roman", "宋体", "仿宋"
TEXT_SIZE, SMALL = Pt(12), Pt(10.5)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 production 2


def new_document(*, header: str, title: str, author: str, made_at: datetime) -> DocumentType:
    """An A4 document with its header, numbered pages and particulars."""
    document = Document()
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
    line(section.header.paragraphs[0], header, size=Pt(9))
    footer = section.footer.paragraphs[0]
    line(footer, "第 ", size=Pt(9))
    for before, name, after in (("", "PAGE", " 页　共 "), ("", "NUMPAGES", " 页")):
        footer.add_run(before)
        field(footer.add_run(), name)
        footer.add_run(after)
    properties = document.core_properties
    properties.title = title
    properties.author = clean(author)
    properties.created = properties.modified = made_at.replace(tzinfo=None)
    return document


def heading_row(heading: _Row) -> None:
    """Repeats a row on every page that the table goes on to."""
    heading._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))


def new_table(document: DocumentType, widths: tuple[Cm, ...]) -> Table:
    """A table with lines, columns of these widths and no rows yet."""
    table: Table = document.add_table(rows=0, cols=len(widths), style="Table Grid")
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return table


def new_row(table: Table) -> _Row:
    """A new row of the table."""
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    return row


def write(cell: _Cell, text: str, *, bold: bool = False) -> None:
    """Text in a cell."""
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(2)
    run = paragraph.add_run(clean(text))
    run.font.size, run.bold = SMALL, bold


def line(paragraph: Paragraph, text: str, *, font: str = TEXT_FONT, size: Pt = TEXT_SIZE, bold: bool = False) -> None:
    """Text in the middle of its line, in a font for East Asian letters."""
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.space_after = Pt(6)
    run = paragraph.add_run(clean(text))
    run.font.name, run.font.size, run.bold = LATIN, size, bold
    run._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), font)


def field(run: Run, name: str) -> None:
    """A field that Word fills in, such as the page's number (17.16)."""
    for kind in ("begin", "", "end"):
        if kind:
            part = OxmlElement("w:fldChar")
            part.set(qn("w:fldCharType"), kind)
        else:
            part = OxmlElement("w:instrText")
            part.text = name
        run._element.append(part)


def clean(text: str) -> str:
    """`text` without what XML cannot hold."""
    return _NOT_XML.sub("", text)
