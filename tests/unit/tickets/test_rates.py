"""The three rates: by hand, against a slow and obvious model, ranked, and explained."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.settings_sections import PACKAGE_ROOT
from tickets.formulas import Formula, load_formulas, month_period
from tickets.rates import (
    TOTAL,
    WITH,
    WITHOUT,
    CallBack,
    Case,
    Line,
    Rates,
    explain,
    percent,
    rank,
    rates_of,
    shown,
    tables,
)

ZONE = ZoneInfo("Asia/Shanghai")
FORMULA, PERIOD = month_period(load_formulas(PACKAGE_ROOT / "tickets/data/rates.yaml"), "2026-11", ZONE)
EVERY = FORMULA.model_copy(update={"counts": "every"})
NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
GOOD = ("yes", "yes", "satisfied")


def back(*answers: str, at: datetime = NOON, again: int = 1) -> CallBack:
    return CallBack(at, again, *answers)


def case(number: str, *call_backs: CallBack, **fields: object) -> Case:
    return Case(number=number, call_backs=call_backs, **fields)  # type: ignore[arg-type]


def test_four_call_backs_reckoned_by_hand() -> None:
    cases = [
        case("1", back("yes", "yes", "satisfied")),
        case("2", back("yes", "yes", "basically")),
        case("3", back("yes", "no", "not_satisfied")),
        case("4", back("no", "no", "not_satisfied")),
    ]
    rates = rates_of(cases, FORMULA, PERIOD)
    assert rates.valid == 4
    assert rates.rate("contacted") == Fraction(3, 4)
    assert rates.rate("solved") == Fraction(2, 4)
    assert rates.rate("satisfied") == Fraction(19, 40)  # (1 + 0.9) / 4
    # 100 x (0.10 x 0.75 + 0.50 x 0.5 + 0.40 x 0.475)
    assert rates.score(FORMULA) == Fraction("51.5")
    assert shown(rates.score(FORMULA), 2) == "51.50"


def test_another_region_weighs_otherwise() -> None:
    thirds = FORMULA.model_copy(update={"weights": {"contacted": "0.30", "solved": "0.35", "satisfied": "0.35"}})
    rates = rates_of([case("1", back("yes", "no", "basically"))], thirds, PERIOD)
    assert rates.score(thirds) == Fraction("61.5")  # 100 x (0.30 + 0 + 0.35 x 0.9)


def test_without_a_valid_call_back_there_is_a_dash_and_no_place() -> None:
    cases = [
        case("1", unit="a", kind="town"),
        case("2", back(*GOOD), unit="b", kind="town"),
    ]
    towns = tables(cases, FORMULA, PERIOD, variant=WITH)["towns"]
    assert [(line.key, line.place) for line in towns] == [("b", 1), ("a", None)]
    rates = towns[1].rates
    assert (rates.rate("solved"), rates.score(FORMULA)) == (None, None)
    assert (percent(rates.rate("solved"), 2), shown(rates.score(FORMULA), 2)) == (
        "—",
        "—",
    )


def test_totals_are_pooled_not_means_of_means() -> None:
    cases = [
        case("1", back("yes", "no", "not_satisfied"), unit="a", kind="town"),
        *(case(f"{n}", back(*GOOD), unit="b", kind="town") for n in range(2, 11)),
    ]
    total = tables(cases, FORMULA, PERIOD, variant=WITH)[TOTAL][0].rates
    assert total.rate("solved") == Fraction(9, 10)  # the mean of the towns' rates is 1/2
    lines = tables(cases, FORMULA, PERIOD, variant=WITH)["towns"]
    assert lines[0].rates + lines[1].rates == total


def test_towns_and_departments_are_ranked_apart() -> None:
    cases = [
        case("1", back(*GOOD), unit="town-1", kind="town"),
        case("2", back("no", "no", "not_satisfied"), unit="bureau-1", kind="department"),
        case("3", back(*GOOD), unit="power", kind="company"),
        case("4", back(*GOOD)),
    ]
    found = tables(cases, FORMULA, PERIOD, variant=WITH)
    ranked = {name: [(line.key, line.place) for line in found[name]] for name in ("towns", "departments", "companies")}
    assert ranked == {
        "towns": [("town-1", 1)],
        "departments": [("bureau-1", 1)],
        "companies": [("power", 1)],
    }
    assert found[TOTAL][0].rates.valid == 4


def line(key: str, solved: int, valid: int) -> Line:
    amount = Fraction(solved)
    return Line(
        key,
        key,
        Rates(valid, valid, {"contacted": amount, "solved": amount, "satisfied": amount}),
    )


def test_equal_scores_share_a_place_and_the_next_is_left_out() -> None:
    ranked = rank(
        [
            line("c", 1, 2),
            line("b", 2, 2),
            line("a", 4, 4),
            line("d", 0, 3),
            line("e", 0, 0),
        ],
        FORMULA,
    )
    assert [(item.key, item.place) for item in ranked] == [
        ("a", 1),
        ("b", 1),
        ("c", 3),
        ("d", 4),
        ("e", None),
    ]


def test_scores_that_are_shown_alike_share_a_place() -> None:
    ranked = rank([line("a", 199_999, 200_000), line("b", 399_999, 400_000)], FORMULA)
    assert [item.place for item in ranked] == [1, 1]
    assert [shown(item.rates.score(FORMULA), 2) for item in ranked] == [
        "100.00",
        "100.00",
    ]


def test_the_last_valid_call_back_of_the_period_counts() -> None:
    redone = case(
        "1",
        back("yes", "no", "not_satisfied", at=NOON),
        back(*GOOD, at=NOON + timedelta(days=3), again=2),
        back("no", "no", "not_satisfied", at=PERIOD.end, again=3),
    )
    assert rates_of([redone], FORMULA, PERIOD).rate("solved") == 1
    assert rates_of([redone], EVERY, PERIOD).rate("solved") == Fraction(1, 2)
    verdict = explain(redone, FORMULA, PERIOD, ZONE)
    assert verdict.reason == (
        "计入：第 2 次办理后 11-06 12:00 回访，已联系、已解决、满意（此前 1 次有效回访由最后一次代替）"
    )


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        (PERIOD.begin - timedelta(microseconds=1), False),
        (PERIOD.begin, True),
        (PERIOD.end - timedelta(microseconds=1), True),
        (PERIOD.end, False),
    ],
)
def test_the_period_has_its_first_moment_and_not_its_end(moment: datetime, counts: bool) -> None:
    one = case("1", back(*GOOD, at=moment))
    assert rates_of([one], FORMULA, PERIOD).valid == counts
    assert explain(one, FORMULA, PERIOD, ZONE).reason.startswith("计入" if counts else "不计：回访不在本统计周期内")


def test_excluded_tickets_are_in_one_table_and_those_under_appeal_in_both() -> None:
    cases = [
        case("1", back("yes", "no", "not_satisfied"), excluded="不属承办单位职责"),
        case("2", back("yes", "yes", "basically"), under_appeal=True),
    ]
    found = {variant: tables(cases, FORMULA, PERIOD, variant=variant)[TOTAL][0].rates for variant in (WITH, WITHOUT)}
    assert (found[WITH].valid, found[WITHOUT].valid) == (2, 1)
    assert found[WITHOUT].rate("solved") == 1
    told = [explain(item, FORMULA, PERIOD, ZONE) for item in cases]
    assert [verdict.variants for verdict in told] == [(WITH,), (WITHOUT, WITH)]
    assert told[0].reason.startswith("剔除后不计：不属承办单位职责；含剔除时计入 第 1 次办理后 11-03 12:00 回访")
    assert told[1].reason.endswith("已联系、已解决、基本满意（按 0.9 计）；申诉中，裁定前照常计入")


@pytest.mark.parametrize(
    ("call_backs", "reason"),
    [
        ((), "不计：没有回访"),
        ((back("", "", ""),), "不计：回访未成功（未接通或未作答）"),
        ((back("yes", "", ""),), "不计：回访没有答全，缺解决、满意"),
        ((back("yes", "yes", "delighted"),), "不计：回访没有答全，缺满意"),
    ],
)
def test_what_does_not_count_is_explained(call_backs: tuple[CallBack, ...], reason: str) -> None:
    verdict = explain(case("1", *call_backs), FORMULA, PERIOD, ZONE)
    assert (verdict.counted, verdict.variants, verdict.reason) == ((), (), reason)


def test_categories_towns_and_sources_have_tables() -> None:
    cases = [
        case("1", back(*GOOD), category="供暖/煤改电设备", town="永宁镇", source="phone"),
        case(
            "2",
            back("no", "no", "not_satisfied"),
            category="供暖/煤改气",
            town="",
            source="web",
        ),
    ]
    found = tables(cases, FORMULA, PERIOD, variant=WITH)
    assert [(item.name, item.rates.valid) for item in found["category"]] == [("供暖", 2)]
    assert [item.key for item in found["subcategory"]] == [
        "供暖/煤改气",
        "供暖/煤改电设备",
    ]
    assert [item.name for item in found["town"]] == ["未填属地", "永宁镇"]
    assert [item.key for item in found["source"]] == ["phone", "web"]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("0.005", 2, "0.01"),
        ("0.0049999", 2, "0.00"),
        ("99.995", 2, "100.00"),
        ("7", 0, "7"),
        ("61.25", 1, "61.3"),
    ],
)
def test_figures_are_rounded_once_half_up(value: str, decimals: int, text: str) -> None:
    assert shown(Fraction(value), decimals) == text


moments = st.integers(-3, 36).map(lambda days: PERIOD.begin + timedelta(days=days, hours=1))
call_backs = st.builds(
    CallBack,
    moments,
    st.integers(1, 3),
    st.sampled_from(["yes", "no", ""]),
    st.sampled_from(["yes", "no", ""]),
    st.sampled_from(["satisfied", "basically", "not_satisfied", "", "?"]),
)
cases_drawn = st.lists(
    st.builds(
        Case,
        number=st.just("YQ"),
        unit=st.sampled_from(["a", "b", "c", ""]),
        kind=st.sampled_from(["town", "department"]),
        excluded=st.sampled_from(["", "reason"]),
        call_backs=st.lists(call_backs, max_size=3).map(tuple),
    ),
    max_size=12,
)


def slow_score(cases: Sequence[Case], formula: Formula) -> Fraction | None:
    """As DOMAIN has it, word by word."""
    counted = []
    for one in cases:
        valid = []
        for item in one.call_backs:
            answered = item.contacted and item.solved and item.satisfied in ("satisfied", "basically", "not_satisfied")
            if PERIOD.begin <= item.at < PERIOD.end and answered:
                valid.append(item)
        valid.sort(key=lambda item: (item.at, item.pass_number))
        counted += valid if formula.counts == "every" else valid[-1:]
    if not counted:
        return None
    n = Fraction(len(counted))
    contacted = sum(item.contacted == "yes" for item in counted) / n
    solved = sum(item.solved == "yes" for item in counted) / n
    happy = sum(item.satisfied == "satisfied" for item in counted)
    half = sum(item.satisfied == "basically" for item in counted)
    satisfied = (happy + Fraction(9, 10) * half) / n
    return 100 * (Fraction(10, 100) * contacted + Fraction(50, 100) * solved + Fraction(40, 100) * satisfied)


@given(cases_drawn, st.sampled_from([FORMULA, EVERY]))
def test_every_score_is_that_of_the_obvious_model(cases: list[Case], formula: Formula) -> None:
    for variant in (WITH, WITHOUT):
        wanted = [item for item in cases if variant == WITH or not item.excluded]
        found = tables(cases, formula, PERIOD, variant=variant)
        assert found[TOTAL][0].rates.score(formula) == slow_score(wanted, formula)
        for item in (*found["towns"], *found["departments"]):
            own = [one for one in wanted if one.unit == item.key]
            kinds = {"town"} if item in found["towns"] else {"department"}
            assert item.rates.score(formula) == slow_score([one for one in own if one.kind in kinds], formula)


@given(cases_drawn)
def test_a_ticket_counts_exactly_where_it_is_said_to(cases: list[Case]) -> None:
    for variant in (WITH, WITHOUT):
        told = sum(
            len(verdict.counted)
            for verdict in (explain(item, FORMULA, PERIOD, ZONE) for item in cases)
            if variant in verdict.variants
        )
        assert tables(cases, FORMULA, PERIOD, variant=variant)[TOTAL][0].rates.valid == told


@given(st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_a_place_is_one_more_than_the_number_of_those_before(solved: list[int]) -> None:
    ranked = rank([line(f"{index}", count, 5) for index, count in enumerate(solved)], FORMULA)
    for item in ranked:
        score = item.rates.score(FORMULA)
        assert item.place == 1 + sum((other.rates.score(FORMULA) or 0) > (score or 0) for other in ranked)
