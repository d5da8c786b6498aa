"""Tables of offices: what is read, what is refused, and that nothing hostile takes the machine."""

import contextlib
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from hotline.errors import InvalidInputError
from tickets.sheets import MAX_MERGES, Bounds, Column, Sheet, read_sheet, write_csv, write_xlsx

COLUMNS = (
    Column("code", ("代码", "编码"), required=True),
    Column("name", ("名称", "单位名称"), required=True),
    Column("note", ("备注",)),
)
BOUNDS = Bounds(1 << 20, 4 << 20, 50)


def workbook(rows: Sequence[Sequence[Any]], then: Callable[[Worksheet], object] = lambda sheet: None) -> bytes:
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(list(row))
    then(sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(data: bytes, bounds: Bounds = BOUNDS) -> Sheet:
    return read_sheet(data, COLUMNS, bounds)


def cells(sheet: Sheet) -> list[tuple[int, str, str, str]]:
    return [(each.line, each["code"], each["name"], each["note"]) for each in sheet.records]


def refusal(data: bytes, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(data, bounds)
    return f"{caught.value.message}｜{caught.value.hint}"


def repacked(data: bytes, part: str, text: bytes) -> bytes:
    """The workbook with one of its files replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, text if name == part else old.read(name))
    return out.getvalue()


def test_a_title_above_the_header_and_other_orders_of_columns_are_read() -> None:
    rows = [["某区单位表"], [], ["备注", "单位名称", "代码"], [None, " 甲　局 ", 7.0], [], ["乙注", "乙局", "b"]]
    found = read(workbook(rows, lambda sheet: sheet.merge_cells("A1:C1")))
    assert found.faults == ()
    assert cells(found) == [(4, "7", "甲 局", ""), (6, "b", "乙局", "乙注")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_is_read_as_offices_save_it(encoding: str) -> None:
    text = "代码,名称,备注\r\n# 说明,,\r\na,甲局,\r\n\r\nb,乙局,好\r\n"
    assert cells(read(text.encode(encoding))) == [(3, "a", "甲局", ""), (5, "b", "乙局", "好")]


def test_cells_merged_downwards_mean_the_same_in_each_line() -> None:
    rows = [["代码", "名称", "备注"], ["a", "甲", "同"], ["b", "乙", None], [None, None, None], ["c", "丙", None]]
    found = read(workbook(rows, lambda sheet: sheet.merge_cells("C2:C4")))
    assert cells(found) == [(2, "a", "甲", "同"), (3, "b", "乙", "同"), (4, "", "", "同"), (5, "c", "丙", "")]


def test_cells_merged_sideways_formulas_and_errors_are_told_with_their_place() -> None:
    rows = [["代码", "名称", "备注"], ["a", "甲", "=A2&B2"], ["b", "乙", "x"], ["c", "#N/A", None]]
    found = read(workbook(rows, lambda sheet: sheet.merge_cells("A3:B3")))
    told = [str(fault) for fault in found.faults]
    assert told[0] == "第 2 行：单元格 C2 是公式，请粘贴为数值"
    assert "A3:B3 横向合并" in told[1]
    assert "B4 是错误值 #N/A" in told[2]


def test_a_wrong_header_is_told_with_what_was_probably_meant() -> None:
    assert "“单位名字”是否为“名称”" in refusal("代码,单位名字,备注\n".encode())
    assert "没有栏目“备 考”" in refusal("代码,名称,备 考\n".encode())
    assert "“备考”是否为“备注”" in refusal("代码,名称,备考\n".encode())
    assert "缺少 代码" in refusal("名称,备注\n甲,\n".encode())
    assert "重复" in refusal("代码,名称,单位名称\n".encode())
    assert "全部栏目：代码、名称、备注" in refusal(b"a,b\n1,2\n")
    assert "表头须有" in refusal(b"")
    assert "表头须有" in refusal(("x\n" * 500).encode())


def test_more_lines_than_allowed_are_refused_and_empty_ones_do_not_count() -> None:
    header, line = ["代码", "名称"], ["a", "甲"]
    assert len(read(workbook([header, *[line] * 50])).records) == 50
    assert "多于 50 行" in refusal(workbook([header, *[line] * 51]))
    assert "多于 50 行" in refusal(("代码,名称\n" + "a,甲\n" * 51).encode())

    def far_below(sheet: Worksheet) -> None:
        sheet["A900"], sheet["B900"] = "z", "末"

    assert cells(read(workbook([header, line], far_below)))[-1] == (900, "z", "末", "")


def test_a_file_or_what_it_unpacks_to_may_not_be_too_large() -> None:
    assert "最多 1048576" in refusal(b"x" * (BOUNDS.file_bytes + 1))
    bomb = repacked(workbook([["代码", "名称"]]), "xl/worksheets/sheet1.xml", b" " * (BOUNDS.unpacked_bytes + 1))
    assert len(bomb) < BOUNDS.file_bytes
    assert "解压后超过" in refusal(bomb)


def test_many_parts_or_merged_cells_are_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}", "")
    assert "解压后超过" in refusal(out.getvalue())
    merges = b"".join(b'<mergeCell ref="A%d:A%d"/>' % (row, row + 1) for row in range(2, MAX_MERGES + 3))
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData/><mergeCells>'
        + merges
        + b"</mergeCells></worksheet>"
    )
    assert "合并单元格多于" in refusal(repacked(workbook([["代码"]]), "xl/worksheets/sheet1.xml", sheet))


def test_entities_that_grow_are_not_expanded() -> None:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    sheet = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{lol}]><worksheet><sheetData>&l9;</sheetData></worksheet>'
    )
    found = refusal(repacked(workbook([["代码"]]), "xl/worksheets/sheet1.xml", sheet.encode()))
    assert "已损坏" in found


def test_old_excel_files_and_damaged_ones_are_refused_in_words() -> None:
    assert ".xls" in refusal(b"\xd0\xcf\x11\xe0" + b"\0" * 600)
    assert "已损坏" in refusal(workbook([["代码", "名称"]])[:900])
    assert "已损坏" in refusal(b"PK\x03\x04 and nothing more")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    assert "已损坏" in refusal(out.getvalue())


WORKBOOK = workbook([["代码", "名称"], ["a", "甲"]])


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(st.data())
def test_a_workbook_with_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(WORKBOOK)
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidInputError):
        read(bytes(whole))


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for given_bytes in (data, "代码,名称\n".encode() + data):
        with contextlib.suppress(InvalidInputError):
            read(given_bytes)


TEXTS = st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=" "), max_size=20).map(
    lambda text: " ".join(text.split())
)


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(st.lists(st.tuples(TEXTS.filter(lambda text: bool(text) and text[0] != "#"), TEXTS, TEXTS), max_size=10))
def test_what_is_written_is_read_again(rows: list[tuple[str, str, str]]) -> None:
    header = [column.names[0] for column in COLUMNS]
    for data in (write_xlsx("表", header, rows), write_csv(header, rows)):
        found = read(data)
        assert found.faults == ()
        assert [tuple(each[column.key] for column in COLUMNS) for each in found.records] == rows


def test_nothing_that_is_written_is_a_formula() -> None:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(write_xlsx("表", ["代码", "名称"], [["=1+1", "@SUM(A1)"]])))
    assert [cell.data_type for row in book.worksheets[0].iter_rows() for cell in row] == ["s"] * 4
