"""A transcript as a Word document for a file: title, particulars, the sentences as a table, numbered pages. Pure."""

import io

from docx.document import Document as DocumentType
from docx.oxml import OxmlElement
from docx.shared import Cm, Pt

from console import labels
from console.rendering import clock_time, local_time
from console.transcript_file import TranscriptFile, text_of
from console.word import TITLE_FONT, heading_row, line, new_document, new_row, new_table, write


def as_docx(transcript: TranscriptFile) -> bytes:
    """The document."""
    document = new_document(
        header=f"{transcript.site_name}　{transcript.number}",
        title=f"{transcript.number} 通话记录",
        author=transcript.site_name,
        made_at=transcript.exported_at,
    )
    line(document.add_paragraph(), f"{transcript.site_name}通话记录", font=TITLE_FONT, size=Pt(20), bold=True)
    line(document.add_paragraph(), f"工单号：{transcript.number}")
    _particulars(document, transcript)
    _sentences(document, transcript)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


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
    table = new_table(document, (Cm(3.2), Cm(12.6)))
    for name, value in rows:
        cells = new_row(table).cells
        write(cells[0], name, bold=True)
        write(cells[1], value)
    document.add_paragraph()


def _sentences(document: DocumentType, transcript: TranscriptFile) -> None:
    table = new_table(document, (Cm(2), Cm(2.2), Cm(11.6)))
    heading = new_row(table)
    for cell, name in zip(heading.cells, ("时间", "说话人", "内容"), strict=True):
        write(cell, name, bold=True)
    heading_row(heading)
    for item in transcript.utterances:
        row = new_row(table)
        row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        for cell, value in zip(
            row.cells,
            (clock_time(item.start_ms), labels.label(labels.SPEAKERS, item.speaker), text_of(item.words)),
            strict=True,
        ):
            write(cell, value)
    if not transcript.utterances:
        line(document.add_paragraph(), "（没有转写文字）")
