"""Tickets of an older system: what of a table is good, and why a line is refused."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from tickets.lifecycle import State
from tickets.old_tickets import LONGEST_TEXT, OldMapping, OldTicket, OldTickets, columns_of, parse_old_tickets
from tickets.sheets import Bounds, Record, Sheet, read_sheet, write_csv, write_xlsx

ZONE, NOW = ZoneInfo("Asia/Shanghai"), datetime(2026, 1, 5, tzinfo=UTC)
BOUNDS = Bounds(1 << 20, 1 << 24, 100, cell=LONGEST_TEXT)
HEADERS = {
    "number": "工单编号",
    "created_at": "受理时间",
    "content": "诉求内容",
    "state": "状态",
    "category": "分类",
    "unit": "承办单位",
    "dispatched_at": "派单时间",
    "signed_at": "签收时间",
    "closed_at": "办结时间",
    "phone": "电话",
    "type": "性质",
    "anonymous": "匿名",
}
MAPPING = OldMapping.model_validate(
    {
        "version": 1,
        "source": "old",
        "columns": HEADERS,
        "states": {"已办结": "closed", "办理中": "handling", "待派": "to_dispatch"},
        "categories": {"路灯": "市政园林/路灯"},
        "units": {"永宁": "yn"},
        "types": {"投诉": "complaint"},
    }
)
GOOD = {
    "number": "A-1",
    "created_at": "2025-03-01 09:30:00",
    "content": "路灯不亮",
    "state": "已办结",
    "category": "路灯",
    "unit": "永宁",
    "dispatched_at": "2025/03/01 10:00",
    "signed_at": "2025年3月1日 10:30",
    "closed_at": "2025-03-04",
    "phone": "13900139000",
    "type": "投诉",
    "anonymous": "否",
}


def parse(*lines: dict[str, str], xlsx: bool = False, **options: Any) -> OldTickets:
    header = [*HEADERS.values(), "别的栏目"]
    rows = [[*({**GOOD, **line}[name] for name in HEADERS), "不读"] for line in lines]
    data = write_xlsx("工单", header, rows) if xlsx else write_csv(header, rows)
    sheet = read_sheet(data, columns_of(MAPPING), BOUNDS, others=True)
    taken = {"categories": {"市政园林/路灯"}, "units": {"yn"}, "zone": ZONE, "now": NOW, **options}
    return parse_old_tickets(sheet, MAPPING, **taken)


def only(found: OldTickets) -> OldTicket:
    assert found.refused == ()
    (ticket,) = found.tickets
    return ticket


@pytest.mark.parametrize("xlsx", [False, True])
def test_a_line_is_read_with_its_times_in_the_sites_zone(xlsx: bool) -> None:
    ticket = only(parse({}, xlsx=xlsx))
    assert (ticket.number, ticket.state, ticket.unit, ticket.channel) == ("A-1", State.CLOSED, "yn", "import")
    assert ticket.created_at == datetime(2025, 3, 1, 1, 30, tzinfo=UTC)
    assert ticket.dispatched_at == datetime(2025, 3, 1, 2, 0, tzinfo=UTC)
    assert ticket.signed_at == datetime(2025, 3, 1, 2, 30, tzinfo=UTC)
    assert ticket.closed_at == datetime(2025, 3, 3, 16, 0, tzinfo=UTC)
    assert ticket.fields["category"] == "市政园林/路灯"
    assert ticket.fields["title"] == "路灯不亮"


@pytest.mark.parametrize(
    "written",
    ["2025-03-01 09:30:00", "2025/3/1 9:30", "2025年03月01日09时30分", "20250301093000", "2025-03-01 09:30:00.000"],
)
def test_the_usual_ways_to_write_a_time(written: str) -> None:
    assert only(parse({"created_at": written})).created_at == datetime(2025, 3, 1, 1, 30, tzinfo=UTC)


def test_a_time_as_excel_counts_days() -> None:
    assert only(parse({"created_at": "45717.3958333333"})).created_at == datetime(2025, 3, 1, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"number": ""}, "工单编号"),
        ({"content": ""}, "诉求内容"),
        ({"created_at": ""}, "受理时间"),
        ({"created_at": "昨天"}, "看不懂时间"),
        ({"created_at": "2025-02-30 10:00"}, "看不懂时间"),
        ({"created_at": "1025-03-01"}, "看不懂时间"),
        ({"created_at": "2026-03-01", "dispatched_at": "", "signed_at": "", "closed_at": ""}, "将来"),
        ({"dispatched_at": "2025-02-01"}, "早于受理时间"),
        ({"closed_at": "2025-03-01 10:10"}, "早于签收时间"),
        ({"state": "不知道"}, "映射文件里没有“不知道”"),
        ({"state": "办理中"}, "不能有办结时间"),
        ({"state": "办理中", "closed_at": "", "signed_at": ""}, "签收时间"),
        ({"state": "办理中", "closed_at": "", "unit": ""}, "承办单位"),
        ({"category": "没有"}, "没有“没有”"),
        ({"unit": "没有"}, "没有“没有”"),
        ({"type": "其他"}, "没有“其他”"),
        ({"anonymous": "也许"}, "是 或 否"),
        ({"phone": "1" * 65}, "超过 64 字"),
        ({"number": "x" * 65}, "超过 64 字"),
    ],
)
def test_a_line_that_is_wrong_is_refused_with_its_reason_and_the_others_are_not(
    wrong: dict[str, str], why: str
) -> None:
    found = parse({"number": "first"}, wrong, {"number": "last"})
    assert [ticket.number for ticket in found.tickets] == ["first", "last"]
    (fault,) = found.refused
    assert fault.line == 3
    assert why in fault.message


def test_a_number_that_comes_twice_is_refused_the_second_time() -> None:
    found = parse({}, {})
    assert len(found.tickets) == 1
    assert "与第 2 行重复" in found.refused[0].message


def test_a_unit_or_category_that_the_site_lost_is_refused() -> None:
    for options, why in (({"units": set()}, "没有代码为 yn"), ({"categories": set()}, "没有类别")):
        assert why in parse({}, **options).refused[0].message


def test_a_long_account_is_taken_and_one_without_end_refused() -> None:
    found = parse({"number": "long", "content": "路" * LONGEST_TEXT}, {"content": "路" * (LONGEST_TEXT + 1)})
    assert [len(ticket.fields["content"]) for ticket in found.tickets] == [LONGEST_TEXT]
    assert [fault.line for fault in found.refused] == [3]


def test_a_formula_is_refused_with_its_line() -> None:
    import io

    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(HEADERS.values()))
    sheet.append([GOOD[name] for name in HEADERS])
    sheet.append([{**GOOD, "number": "A-2", "content": "=A1"}[name] for name in HEADERS])
    out = io.BytesIO()
    book.save(out)
    read = read_sheet(out.getvalue(), columns_of(MAPPING), BOUNDS, others=True)
    found = parse_old_tickets(read, MAPPING, categories={"市政园林/路灯"}, units={"yn"}, zone=ZONE, now=NOW)
    assert [ticket.number for ticket in found.tickets] == ["A-1"]
    assert [(fault.line, "公式" in fault.message) for fault in found.refused] == [(3, True)]


def test_a_mapping_must_say_where_the_essentials_stand() -> None:
    mapping = OldMapping.model_validate({"version": 1, "source": "old", "columns": {"number": "编号"}})
    with pytest.raises(InvalidInputError, match="content、created_at"):
        columns_of(mapping)


@given(st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text(max_size=20), max_size=12))
def test_whatever_stands_in_a_line_it_is_taken_or_refused(line: dict[str, str]) -> None:
    sheet = Sheet((Record(2, {**GOOD, **line}),))
    found = parse_old_tickets(sheet, MAPPING, categories={"市政园林/路灯"}, units={"yn"}, zone=ZONE, now=NOW)
    assert len(found.tickets) + len(found.refused) == 1
