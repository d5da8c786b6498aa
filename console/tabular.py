"""Tables of figures, and how they are written: XLSX, CSV, text for pages and reports. Pure.

No cell becomes a formula: in a workbook text is text, and in CSV a text that a spreadsheet would take for a formula has
an apostrophe before it (OWASP, CSV injection).
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tickets.figures import change, change_words
from tickets.rates import shown, shown_number

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NOT_IN_SHEET_NAME = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]|^'|'$")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 production 2
MAX_SHEET_NAME = 31


@dataclass(frozen=True)
class Percent:
    """A share of 0 to 1; a dash where there is none."""

    value: Fraction | None
    decimals: int = 1

    def __str__(self) -> str:
        return "—" if self.value is None else f"{shown(100 * self.value, self.decimals)}%"


@dataclass(frozen=True)
class Score:
    """A figure with decimals; a dash where there is none."""

    value: Fraction | None
    decimals: int = 2

    def __str__(self) -> str:
        return shown(self.value, self.decimals)


@dataclass(frozen=True)
class Growth:
    """What grew, from what before."""

    now: int
    before: int

    def __str__(self) -> str:
        return change_words(self.now, self.before)


Cell = str | int | Percent | Score | Growth


@dataclass(frozen=True)
class Table:
    """`title` names the sheet; `note`: what must be known to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def as_csv(tables: Sequence[Table]) -> bytes:
    """UTF-8 with a byte order mark, as Excel awaits it; tables one under the other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for index, table in enumerate(tables):
        if index:
            writer.writerow([])
        writer.writerow([_harmless(table.title), *([_harmless(table.note)] if table.note else [])])
        writer.writerow([_harmless(name) for name in table.columns])
        writer.writerows(
            [_harmless(cell) if isinstance(cell, str) else str(cell) for cell in row] for row in table.rows
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """A sheet for each table: the header stays in sight, shares are numbers that are shown as percent."""
    from openpyxl import Workbook
    from openpyxl.cell import Cell as SheetCell
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    book = Workbook()
    assert book.active is not None
    book.remove(book.active)
    names: set[str] = set()
    for table in tables:
        sheet = book.create_sheet(_sheet_name(table.title, names))
        first = 2 if table.note else 1
        if table.note:
            _text(sheet.cell(1, 1), table.note)
        for column, name in enumerate(table.columns, start=1):
            cell = sheet.cell(first, column)
            assert isinstance(cell, SheetCell)
            _text(cell, name)
            cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="DDE7F1")
            cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        for line, row in enumerate(table.rows, start=first + 1):
            for column, value in enumerate(row, start=1):
                _write(sheet.cell(line, column), value)
        sheet.freeze_panes = sheet.cell(first + 1, 2 if len(table.columns) > 2 else 1)
        for column, name in enumerate(table.columns, start=1):
            longest = max((text_width(str(row[column - 1])) for row in table.rows), default=0)
            sheet.column_dimensions[get_column_letter(column)].width = min(60, max(text_width(name), longest) + 3)
    if not tables:
        book.create_sheet("无数据")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _write(cell: object, value: Cell) -> None:
    if isinstance(value, str):
        _text(cell, value)
    elif isinstance(value, int):
        cell.value, cell.number_format = value, "#,##0"  # type: ignore[attr-defined]
    elif str(value) == "—":
        _text(cell, "—")
    elif isinstance(value, Percent):
        assert value.value is not None
        number = shown_number(100 * value.value, value.decimals) or 0
        cell.value = number / 10 ** (value.decimals + 2)  # type: ignore[attr-defined]
        cell.number_format = f"0.{'0' * value.decimals}%" if value.decimals else "0%"  # type: ignore[attr-defined]
    elif isinstance(value, Score):
        cell.value = (shown_number(value.value, value.decimals) or 0) / 10**value.decimals  # type: ignore[attr-defined]
        cell.number_format = f"0.{'0' * value.decimals}" if value.decimals else "0"  # type: ignore[attr-defined]
    else:
        cell.value = round(float(change(value.now, value.before) or 0), 3)  # type: ignore[attr-defined]
        cell.number_format = "+0.0%;-0.0%;0.0%"  # type: ignore[attr-defined]


def _text(cell: object, value: str) -> None:
    """Text, whatever it begins with, also when somebody edits the cell."""
    cell.value = _NOT_XML.sub("", value)  # type: ignore[attr-defined]
    cell.data_type, cell.quotePrefix = "s", value.startswith(_FORMULA)  # type: ignore[attr-defined]


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _sheet_name(title: str, taken: set[str]) -> str:
    base = _NOT_IN_SHEET_NAME.sub("", _NOT_XML.sub("", title))[:MAX_SHEET_NAME] or "表"
    name, number = base, 2
    while name in taken:
        tail = f" {number}"
        name, number = base[: MAX_SHEET_NAME - len(tail)] + tail, number + 1
    taken.add(name)
    return name


def text_width(text: str) -> int:
    """How wide a text is, in Latin letters."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)
