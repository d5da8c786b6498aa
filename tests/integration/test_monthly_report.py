"""The monthly report as a Word document and a PDF."""

import io

import pytest
from console_browser import browse
from docx import Document
from test_figure_pages import context, password_hash

from console.bars import columns
from console.context import ConsoleContext
from console.models import AuditEntry
from console.report_docx import picture
from tickets.models import Unit

__all__ = ["context", "password_hash"]
LONG = "区市场监督管理局（知识产权局、食品药品安全委员会办公室、反垄断与价格监督检查局）"


async def test_the_word_document_says_what_the_figures_say(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        unit = session.get(Unit, "cgw")
        assert unit is not None
        unit.name = LONG
    async with browse(context) as browser:
        await browser.sign_in("shen")
        found = await browser.get("/reports/2026-11.docx")
    document = Document(io.BytesIO(found.content))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "2026 年 11 月运行月报" in text
    assert "新建工单 4 件（较上月无可比数据，较去年同月无可比数据）" in text
    assert "响应率 100.00%、解决率 100.00%、满意率 96.67%，综合得分 98.67" in text
    assert "试算，未发布" in text
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    assert {"永宁镇", "张山营镇", LONG} <= set(cells)
    assert len(document.inline_shapes) == 2


async def test_the_pdf_is_one_and_both_are_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        found = await browser.get("/reports/2026-11.pdf")
        assert found.content.startswith(b"%PDF-")
        assert (await browser.get("/reports/2025-02.pdf")).status_code == 200  # a month without anything
        assert (await browser.get("/reports/2025-02.docx")).status_code == 200
    with context.database.reading() as session:
        entries = session.query(AuditEntry).filter_by(action="export_figures").all()
        assert [entry.subject for entry in entries] == [
            "report-2026-11.pdf",
            "report-2025-02.pdf",
            "report-2025-02.docx",
        ]


@pytest.mark.parametrize(("name", "status"), [("ban", 403), ("ting", 403)])
async def test_the_report_of_all_units_is_not_for_everybody(context: ConsoleContext, name: str, status: int) -> None:
    async with browse(context) as browser:
        await browser.sign_in(name)
        assert (await browser.get("/reports/2026-11.docx")).status_code == status


async def test_what_is_no_month_or_no_kind_of_file_is_refused(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("shen")
        assert (await browser.get("/reports/2026-13.docx")).status_code in (400, 422)
        assert (await browser.get("/reports/2026-11.exe")).status_code in (400, 404, 422)


def test_a_picture_of_no_days_can_be_drawn() -> None:
    assert picture(columns("空", [], [])).startswith(b"\x89PNG")
