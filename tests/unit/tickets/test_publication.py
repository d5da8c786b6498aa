"""Snapshots of what was published: canonical, complete, and told when they are not what they were."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import DamagedError
from hotline.settings_sections import PACKAGE_ROOT
from tickets.formulas import load_formulas, month_period
from tickets.publication import compare, digest, inputs_text, line_of, outputs_of, outputs_text, pack, unpack
from tickets.rates import VARIANTS, CallBack, Case, tables

ZONE = ZoneInfo("Asia/Shanghai")
FORMULA, PERIOD = month_period(load_formulas(PACKAGE_ROOT / "tickets/data/rates.yaml"), "2026-11", ZONE)
NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
CASES = (
    Case(
        number="2", unit="a", unit_name="甲镇", kind="town", call_backs=(CallBack(NOON, 1, "yes", "yes", "basically"),)
    ),
    Case(number="1", unit="a", unit_name="甲镇", kind="town", excluded="不可抗力", under_appeal=True),
)

names = st.text("甲乙ab/", max_size=3)
drawn = st.lists(
    st.builds(
        Case,
        number=st.uuids().map(str),
        unit=names,
        unit_name=names,
        kind=st.sampled_from(["town", "department", ""]),
        town=names,
        category=names,
        excluded=names,
        under_appeal=st.booleans(),
        call_backs=st.lists(
            st.builds(
                CallBack,
                st.datetimes(datetime.fromisoformat("2026-10-10"), timezones=st.just(UTC)),
                st.integers(1, 4),
                st.sampled_from(["yes", "no", ""]),
                st.sampled_from(["yes", "no", ""]),
                st.sampled_from(["satisfied", "basically", "not_satisfied", ""]),
            ),
            max_size=2,
        ).map(lambda items: tuple(sorted(items, key=lambda item: (item.at, item.pass_number)))),
    ),
    max_size=5,
)


@given(drawn)
def test_inputs_survive_storage(cases: list[Case]) -> None:
    text = inputs_text(PERIOD, cases)
    found = unpack(FORMULA.text(), pack(text), digest(FORMULA.text(), text))
    assert (found.formula, found.period) == (FORMULA, PERIOD)
    assert list(found.cases) == sorted(cases, key=lambda case: case.number)


def test_the_same_tickets_in_another_order_are_the_same_bytes() -> None:
    assert inputs_text(PERIOD, CASES) == inputs_text(PERIOD, CASES[::-1])


@given(drawn)
def test_published_lines_are_read_back_exactly(cases: list[Case]) -> None:
    outputs = json.loads(outputs_text(outputs_of(cases, FORMULA, PERIOD)))
    for variant in VARIANTS:
        for name, lines in tables(cases, FORMULA, PERIOD, variant=variant).items():
            found = [line_of(data) for data in outputs[variant][name]]
            assert [(item.key, item.name, item.place) for item in found] == [
                (item.key, item.name, item.place) for item in lines
            ]
            assert [item.rates.score(FORMULA) for item in found] == [item.rates.score(FORMULA) for item in lines]


def test_inputs_that_were_changed_are_told() -> None:
    text = inputs_text(PERIOD, CASES)
    stored = digest(FORMULA.text(), text)
    with pytest.raises(DamagedError, match="SHA-256"):
        unpack(FORMULA.text(), pack(text.replace("basically", "satisfied")), stored)
    with pytest.raises(DamagedError, match="SHA-256"):
        unpack(FORMULA.text().replace("0.50", "0.40").replace("0.10", "0.20"), pack(text), stored)
    with pytest.raises(DamagedError, match="损坏"):
        unpack(FORMULA.text(), b"nonsense", stored)
    with pytest.raises(DamagedError, match="不完整"):
        unpack(FORMULA.text(), pack(text)[:-8], stored)


def test_a_comparison_names_the_figure() -> None:
    before = outputs_of(CASES, FORMULA, PERIOD)
    after = json.loads(outputs_text(before))
    assert compare(before, after) == []
    after["without_excluded"]["towns"][0]["solved"] = "1/2"
    del after["with_excluded"]["source"]
    paths = {item.path: (item.published, item.reckoned) for item in compare(before, after)}
    assert paths["without_excluded/towns/a/solved"] == ("1", "1/2")
    assert any(path.startswith("with_excluded/source") for path in paths)
