"""Tables that offices keep: XLSX or CSV bytes in, records by column name out. Pure, and every size is bounded.

- The header stands in one of the first lines; a title above it is no harm. A column that is missing or unknown is told
  with the name that was probably meant.
- Cells merged downwards mean the same value in each line; merged sideways they say nothing certain and are refused,
  as are formulas and errors: nobody sees in the file what they would become.
- What is wrong is told with the line that a person sees in the file.
"""

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hotline.errors import HotlineError, InvalidInputError
from tickets.places import Fault, decode

XLSX_MAGIC = b"PK\x03\x04"
OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0"
HEADER_WITHIN = 10  # lines
MAX_COLUMNS = 64
MAX_CELL = 2000  # characters
MAX_PARTS = 1000  # files of a workbook
MAX_MERGES = 10_000
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?\bref=[\"']([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})[\"']")
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")


@dataclass(frozen=True)
class Bounds:
    """What is read at most: bytes of the file, bytes of it unpacked, lines with content, characters of a cell."""

    file_bytes: int
    unpacked_bytes: int
    rows: int
    cell: int = MAX_CELL


@dataclass(frozen=True)
class Column:
    """A column and what tables call it; the first name is how people read it."""

    key: str
    names: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A line of a table: its number in the file and its cells, by column key, without blanks at their ends."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.cells.get(key, "")


@dataclass(frozen=True)
class Sheet:
    """What a table says, and what is wrong with it."""

    records: tuple[Record, ...]
    faults: tuple[Fault, ...] = ()


def read_sheet(data: bytes, columns: Sequence[Column], bounds: Bounds, *, others: bool = False) -> Sheet:
    """The records of an XLSX (its first sheet) or CSV file; raises `InvalidInputError` where it is neither, too large,
    or has not the columns. `others`: further columns may be there and are not read."""
    if len(data) > bounds.file_bytes:
        raise InvalidInputError(f"文件有 {len(data)} 字节，最多 {bounds.file_bytes}（tickets.max_import_bytes）")
    if data.startswith(OLD_EXCEL_MAGIC):
        raise InvalidInputError("这是旧式 Excel 文件（.xls）或加密的工作簿", hint="另存为 .xlsx 或 CSV UTF-8，再导入")
    faults: list[Fault] = []
    rows = _xlsx_rows(data, bounds, faults) if data.startswith(XLSX_MAGIC) else _csv_rows(data, bounds, faults)
    header, records = _records(rows, columns, bounds.rows, others)
    below = (fault for fault in faults if fault.line >= header)  # a title may be as it likes
    return Sheet(records, tuple(sorted(below, key=lambda fault: fault.line)))


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV that Excel opens as UTF-8."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([header, *rows])
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A workbook of one sheet. Every cell is text: none becomes a formula, whatever it begins with."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for index, name in enumerate(header):
        sheet.column_dimensions[chr(ord("A") + index)].width = max(12, 2 * len(name) + 4)
    for number, row in enumerate([header, *rows]):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value)
            cell.data_type = "s"
            if number == 0:
                cell.font = Font(bold=True)
            cells.append(cell)
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, empty where none is close."""
    from rapidfuzz import fuzz, process

    found = process.extractOne(name, list(known), scorer=fuzz.ratio, score_cutoff=50)
    return found[0] if found else ""


def _csv_rows(data: bytes, bounds: Bounds, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    text = decode(data)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",", strict=True)
    try:
        for cells in reader:
            yield reader.line_num, [_clean(cell, reader.line_num, bounds, faults) for cell in cells[:MAX_COLUMNS]]
    except csv.Error as error:
        faults.append(Fault(reader.line_num, f"表格格式有误：{error}"))


def _xlsx_rows(data: bytes, bounds: Bounds, faults: list[Fault]) -> Iterable[tuple[int, list[str]]]:
    try:
        return list(_xlsx_cells(data, bounds, faults))
    except HotlineError:
        raise
    except Exception as error:  # openpyxl and what it parses with raise anything for files that nobody's Excel wrote
        raise InvalidInputError("工作簿已损坏，无法读取", hint="用 Excel 打开并另存，再导入") from error


def _xlsx_cells(data: bytes, bounds: Bounds, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook

    warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")  # of styles, which nobody reads
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()  # a part never gives more than the size written here
        if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > bounds.unpacked_bytes:
            limit = bounds.unpacked_bytes
            raise InvalidInputError(f"工作簿解压后超过 {limit} 字节（tickets.max_import_unpacked_bytes），不读取")
        book = load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        merged = _Merged(archive.read(sheet._worksheet_path))  # type: ignore[attr-defined]
    given = 0
    for line, cells in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS), start=1):
        # offices give whole columns a colour: most lines of a sheet are empty
        width = len(cells)
        while width and cells[width - 1].value is None:
            width -= 1
        if width or merged.reaches(line):
            given += 1
            yield line, merged.fill(line, [_cell(cell, line, bounds, faults) for cell in cells[:width]], faults)
        if given > bounds.rows + HEADER_WITHIN:  # too many, which `_records` says
            break


class _Merged:
    """The merged cells of a sheet, line by line."""

    def __init__(self, xml: bytes) -> None:
        self._down: dict[tuple[int, int], int] = {}  # first line and column -> last line
        self._across: dict[int, list[tuple[int, int]]] = {}  # line -> columns
        self._open: dict[int, tuple[int, str]] = {}  # column -> last line and value
        for count, (left, top, right, bottom) in enumerate(_MERGE.findall(xml)):
            if count >= MAX_MERGES:
                raise InvalidInputError(f"合并单元格多于 {MAX_MERGES} 处", hint="取消合并，再导入")
            if left == right:
                self._down[int(top), _column_number(left)] = int(bottom)
            else:
                self._across.setdefault(int(top), []).append((_column_number(left), _column_number(right)))

    def reaches(self, line: int) -> bool:
        """Whether `line` gets a value from above."""
        return any(line <= last for last, _value in self._open.values())

    def fill(self, line: int, cells: list[str], faults: list[Fault]) -> list[str]:
        """The cells of `line` with what is merged into it."""
        for column, (last, value) in self._open.items():
            if line <= last:
                cells += [""] * (column + 1 - len(cells))
                cells[column] = value
        for column in range(len(cells)):
            if (line, column) in self._down:
                self._open[column] = (self._down[line, column], cells[column])
        if line in self._across:
            left, right = self._across[line][0]
            where = f"{_letters(left)}{line}:{_letters(right)}{line}"
            faults.append(Fault(line, f"单元格 {where} 横向合并，看不出属于哪一栏，请取消合并"))
        return cells


def _cell(cell: Any, line: int, bounds: Bounds, faults: list[Fault]) -> str:
    value = cell.value
    if value is None:
        return ""
    where = f"单元格 {_letters(cell.column - 1)}{line} "
    if cell.data_type == "f":
        faults.append(Fault(line, where + "是公式，请粘贴为数值"))
        return ""
    if cell.data_type == "e":
        faults.append(Fault(line, where + f"是错误值 {str(value)[:20]}"))
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(sep=" ")
    return _clean(value.isoformat() if isinstance(value, date) else str(value), line, bounds, faults)


def _clean(text: str, line: int, bounds: Bounds, faults: list[Fault]) -> str:
    text = " ".join(text.split())
    if len(text) > bounds.cell or not _TEXT.fullmatch(text):
        faults.append(Fault(line, f"有超过 {bounds.cell} 字或带控制字符的单元格"))
        return ""
    return text


def _records(
    rows: Iterable[tuple[int, list[str]]], columns: Sequence[Column], limit: int, others: bool
) -> tuple[int, tuple[Record, ...]]:
    """The line of the header, and what stands below it."""
    numbered = iter(rows)
    seen: list[list[str]] = []
    for line, cells in numbered:
        keys = _header(cells, columns, others)
        if keys is not None:
            header = line
            break
        seen.append(cells)
        if len(seen) == HEADER_WITHIN:
            raise _no_header(seen, columns)
    else:
        raise _no_header(seen, columns)
    records: list[Record] = []
    for line, cells in numbered:
        if not any(cells) or cells[0].startswith("#"):
            continue
        if len(records) == limit:
            raise InvalidInputError(f"表格多于 {limit} 行（tickets.max_import_rows）", hint="分成几个文件导入")
        records.append(Record(line, {key: cell for key, cell in zip(keys, cells, strict=False) if key}))
    return header, tuple(records)


def _header(cells: Sequence[str], columns: Sequence[Column], others: bool) -> list[str] | None:
    """The column keys of a header line, None where it is none."""
    key_of = {_plain(name): column.key for column in columns for name in (column.key, *column.names)}
    keys = [key_of.get(_plain(cell), "") for cell in cells]
    found = [key for key in keys if key]
    if not {column.key for column in columns if column.required} <= set(found):
        return None
    if len(found) != len(set(found)):
        raise InvalidInputError("表头有重复的栏目", hint=f"表头：{'、'.join(filter(None, cells))[:200]}")
    unknown = [cell for cell, key in zip(cells, keys, strict=True) if cell and not key]
    if unknown and not others:
        raise InvalidInputError(f"没有栏目“{unknown[0][:40]}”", hint=_meant(unknown[0], columns, found))
    return keys


def _no_header(seen: Sequence[Sequence[str]], columns: Sequence[Column]) -> InvalidInputError:
    required = [column for column in columns if column.required]
    error = "表头须有 " + "、".join(column.names[0] for column in required)
    names = {_plain(name): column for column in columns for name in (column.key, *column.names)}
    likely = max(seen, key=lambda cells: sum(_plain(cell) in names for cell in cells), default=[])
    known = {names[_plain(cell)].key for cell in likely if _plain(cell) in names}
    missing = [column.names[0] for column in required if column.key not in known]
    hints = []
    if known and missing:
        hints.append(f"缺少 {'、'.join(missing)}")
    for cell in likely:
        if known and cell and _plain(cell) not in names:
            hints.append(_meant(cell, columns, known))
    return InvalidInputError(error, hint="；".join(dict.fromkeys(hints)) or "全部栏目：" + _all_names(columns))


def _meant(cell: str, columns: Sequence[Column], taken: Iterable[str]) -> str:
    free = {name: column.names[0] for column in columns if column.key not in taken for name in column.names}
    near = closest(cell, free)
    return f"“{cell[:40]}”是否为“{free[near]}”？" if near else "全部栏目：" + _all_names(columns)


def _all_names(columns: Sequence[Column]) -> str:
    return "、".join(column.names[0] for column in columns)


def _plain(name: str) -> str:
    return name.replace(" ", "").replace("*", "").strip().lower()


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _letters(index: int) -> str:
    text = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
