"""Tables as files: numbers stay numbers, text stays text."""

import csv
import io
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from console.bars import columns, nice_top
from console.tabular import Growth, Percent, Score, Table, as_csv, as_xlsx

EVIL = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0")
TABLE = Table(
    "镇街/排名",
    ("名称", "件数", "解决率", "得分", "较上月"),
    (
        ("=HYPERLINK(1)", 1200, Percent(Fraction(1, 3), 2), Score(Fraction("95.125")), Growth(9, 8)),
        ("永宁镇", 0, Percent(None), Score(None), Growth(3, 0)),
    ),
    "说明",
)


def test_a_workbook_has_formats_a_frozen_header_and_no_formula() -> None:
    book = load_workbook(io.BytesIO(as_xlsx([TABLE, TABLE])))
    assert book.sheetnames == ["镇街排名", "镇街排名 2"]
    sheet = book.active
    assert sheet is not None
    assert sheet.freeze_panes == "B3"
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in cells)
    name, count, share, score, growth = (sheet.cell(3, column) for column in range(1, 6))
    assert (name.value, name.data_type, name.quotePrefix) == ("=HYPERLINK(1)", "s", True)
    assert (count.value, count.number_format) == (1200, "#,##0")
    assert (share.value, share.number_format) == (0.3333, "0.00%")
    assert (score.value, score.number_format) == (95.13, "0.00")
    assert (growth.value, growth.number_format) == (0.125, "+0.0%;-0.0%;0.0%")
    assert [sheet.cell(4, column).value for column in range(1, 6)] == ["永宁镇", 0, "—", "—", "—"]


def test_csv_is_utf8_with_a_mark_and_harmless() -> None:
    data = as_csv([TABLE])
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows[0] == ["镇街/排名", "说明"]
    assert rows[2] == ["'=HYPERLINK(1)", "1200", "33.33%", "95.13", "+12.5%"]
    assert rows[3] == ["永宁镇", "0", "—", "—", "—"]


@pytest.mark.parametrize("text", EVIL)
def test_what_looks_like_a_formula_is_text_everywhere(text: str) -> None:
    table = Table(text, (text, "b"), ((text, 1),), text)
    book = load_workbook(io.BytesIO(as_xlsx([table])))
    assert book.active is not None
    assert all(cell.data_type != "f" for row in book.active.iter_rows() for cell in row)
    for row in csv.reader(io.StringIO(as_csv([table]).decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_text_makes_a_file(title: str, cell: str) -> None:
    table = Table(title, ("a",), ((cell,),))
    assert load_workbook(io.BytesIO(as_xlsx([table]))).sheetnames
    as_csv([table]).decode("utf-8-sig")


def test_nothing_to_write_is_an_empty_workbook() -> None:
    assert load_workbook(io.BytesIO(as_xlsx([]))).sheetnames == ["无数据"]


def test_columns_stand_on_the_line_and_reach_no_higher_than_the_edge() -> None:
    chart = columns("每日工单", ["1", "2", "3"], [0, 7, 10])
    assert [round(column.height) for column in chart.columns] == [0, 101, 144]
    assert all(round(column.y + column.height) == chart.base for column in chart.columns)
    assert chart.words == "每日工单：1 0，2 7，3 10"
    assert columns("空", [], []).columns == ()
    assert (
        sum(bool(column.label) for column in columns("年", [str(day) for day in range(365)], [1] * 365).columns) <= 12
    )


@given(st.integers(0, 10**12))
def test_the_edge_is_a_round_number_that_is_not_too_high(largest: int) -> None:
    top = nice_top(largest)
    assert max(1, largest) <= top <= max(1, largest) * 2.5
    assert str(top).strip("0") in ("1", "2", "5")
