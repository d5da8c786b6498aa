"""Whom a ticket could be sent to: rules in their order, and invariants over anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.catalogue import TOWN_UNIT, Entry
from tickets.routing import NEVER, AutoRules, Matter, Past, Rules, Suggestion, leave_to_send, past_of, suggest
from tickets.units import UnitData

UNITS = (
    UnitData("yongning", "永宁镇", "town"),
    UnitData("kangzhuang", "康庄镇", "town"),
    UnitData("heat", "供热公司", "company"),
    UnitData("urban", "城市管理委员会", "department"),
    UnitData("parks", "市政园林养护公司", "company"),
    UnitData("closed", "路灯所", "department", active=False),
    UnitData("centre", "市民热线服务中心", "office"),
    UnitData("zcentre", "第二热线中心", "office"),
)
LAMP = "市政园林/路灯"
ENTRIES = (
    Entry("市政园林", "", "urban"),
    Entry(LAMP, "", "heat", (TOWN_UNIT, "urban"), "路灯养护职责"),
    Entry("市政园林", "永宁镇", "parks"),
    Entry(LAMP, "永宁镇", TOWN_UNIT),
    Entry(LAMP, "永宁古城", "urban"),
)


def leads(matter: Matter, past: Past = NEVER, limit: int = 9) -> list[str]:
    return [each.unit for each in suggest(matter, entries=ENTRIES, units=UNITS, past=past, limit=limit)]


def first(matter: Matter, past: Past = NEVER, entries: tuple[Entry, ...] = ENTRIES) -> Suggestion:
    return suggest(matter, entries=entries, units=UNITS, past=past)[0]


def test_the_more_exact_entry_wins() -> None:
    at_the_gate = Matter(category=LAMP, town="永宁镇", places=("永宁古城",))
    assert leads(at_the_gate)[:4] == ["urban", "yongning", "parks", "heat"]
    assert leads(Matter(category=LAMP, town="永宁镇"))[:3] == ["yongning", "parks", "heat"]
    assert leads(Matter(category=LAMP, town="康庄镇"))[:2] == ["heat", "urban"]
    assert leads(Matter(category="市政园林/道路破损", town="永宁镇"))[:2] == ["parks", "urban"]
    assert leads(Matter(category="市政园林/道路破损"))[:1] == ["urban"]


def test_the_town_of_the_matter_stands_where_the_catalogue_says_so() -> None:
    found = first(Matter(category=LAMP, town="康庄镇"))
    assert (found.unit, found.co_units, found.basis) == ("heat", ("kangzhuang", "urban"), "catalogue")
    assert "路灯养护职责" in found.reason
    unknown = first(Matter(category=LAMP))
    assert unknown.co_units == ("urban",)
    nowhere = first(Matter(category="农村管理/宅基地"), entries=(Entry("农村管理", "", TOWN_UNIT),))
    assert nowhere.basis == "district_office"


def test_confidence_follows_category_place_and_exactness() -> None:
    sure, doubtful = Matter(category=LAMP, town="永宁镇"), Matter(category=LAMP, town="永宁镇", category_confidence=0.5)
    assert first(sure).confidence == pytest.approx(0.98)
    assert first(doubtful).confidence == pytest.approx(0.49)
    vague = Matter(category=LAMP, town="永宁镇", place_confidence=0.5)
    assert first(vague).confidence == pytest.approx(0.49)
    elsewhere = Matter(category=LAMP, town="康庄镇", place_confidence=0.5)
    assert first(elsewhere).confidence == pytest.approx(0.92)  # the lead does not follow from the place


def test_what_people_did_speaks_for_an_entry_and_stands_in_where_there_is_none() -> None:
    habits = {"heat": 8, "urban": 2}
    known = suggest(Matter(category=LAMP), entries=ENTRIES, units=UNITS, habits=habits)[0]
    assert known.confidence == pytest.approx(0.92 + 0.08 * 0.3 * 0.8, abs=0.001)
    assert "近期 10 件同类诉求中 8 件" in known.reason
    silent = suggest(Matter(category="住房/产权证"), entries=ENTRIES, units=UNITS, habits=habits)
    assert [(each.unit, each.basis) for each in silent] == [
        ("heat", "direct"),
        ("urban", "direct"),
        ("centre", "district_office"),
    ]
    assert silent[0].confidence == pytest.approx(0.56)


def test_who_first_took_it_keeps_it_unless_it_was_allowed_to_return_it() -> None:
    matter = Matter(category=LAMP, town="永宁镇")
    kept = first(matter, Past(leads=("parks",)))
    assert (kept.unit, kept.basis) == ("parks", "first_responder")
    assert "首接负责：市政园林养护公司最先承办本工单" in kept.reason
    earlier = first(matter, Past(first="kangzhuang"))
    assert (earlier.unit, earlier.basis) == ("kangzhuang", "first_responder")
    returned = Past(leads=("yongning",), returned=("yongning",), first="yongning")
    assert leads(matter, returned)[0] == "parks"
    assert "yongning" not in leads(matter, returned)


def test_two_returns_are_a_dispute_that_the_district_settles_on_site() -> None:
    past = Past(leads=("yongning", "parks"), returned=("yongning", "parks"))
    found = first(Matter(category=LAMP, town="永宁镇"), past)
    assert (found.unit, found.basis, found.co_units) == ("centre", "division_of_duty", ("yongning", "parks"))
    assert "永宁镇、市政园林养护公司 均已退单" in found.reason


def test_nobody_is_the_district_office_and_closed_units_never() -> None:
    assert first(Matter(category="")).reason == "类别不明，由其先行承办"
    assert first(Matter(category=LAMP), entries=(Entry(LAMP, "", "closed"),)).unit == "centre"
    chosen = suggest(Matter(category=""), entries=(), units=UNITS, rules=Rules(fallback="zcentre"))
    assert [each.unit for each in chosen] == ["zcentre"]
    gone = suggest(Matter(category=""), entries=(), units=UNITS, rules=Rules(fallback="closed"))
    assert [each.unit for each in gone] == ["centre"]
    assert suggest(Matter(category=LAMP), entries=ENTRIES, units=()) == ()


def test_the_town_works_along_where_life_or_a_promise_is_at_stake() -> None:
    rules = Rules(town_joins=frozenset({"T1"}))
    entries = (Entry("供暖", "", "heat"),)

    def along(tier: str, overlay: str = "") -> tuple[str, ...]:
        matter = Matter(category="供暖/煤改电设备", town="永宁镇", tier=tier, overlay=overlay)
        return suggest(matter, entries=entries, units=UNITS, rules=rules)[0].co_units

    assert (along("T1"), along("T2"), along("T2", "coal_to_electric")) == (("yongning",), (), ("yongning",))


AUTO = AutoRules(categories=frozenset({"供暖"}), min_confidence=0.8)
SENT = Entry("供暖/集中供热温度", "", "heat", auto_dispatch=True)


def leave(matter: Matter, past: Past = NEVER, entry: Entry = SENT, rules: AutoRules = AUTO) -> str:
    return leave_to_send(first(matter, past, (entry,)), matter, past, rules)


def test_nothing_goes_without_the_rules_leave() -> None:
    cold = Matter(category="供暖/集中供热温度", tier="T2")
    assert leave(cold) == "自动派单：目录“供暖/集中供热温度”准予自动派单，把握 92%"
    assert leave(cold, rules=AutoRules()) == ""
    assert leave(cold, entry=Entry("供暖/集中供热温度", "", "heat")) == ""
    assert leave(Matter(category="供暖/集中供热温度", category_confidence=0.8)) == ""
    assert leave(cold, past=Past(leads=("heat",), returned=("heat",))) == ""
    assert leave(Matter(category="供暖/集中供热温度", flags=("confidential",))) == ""
    urgent = Matter(category="供暖/集中供热温度", tier="T1")
    assert leave(urgent) == ""
    assert leave(Matter(category="供暖/集中供热温度", flags=("emergency",))) == ""
    assert leave(urgent, rules=AutoRules(categories=frozenset({"供暖"}), min_confidence=0.8, emergencies=True))


def test_the_past_is_read_from_the_events() -> None:
    events = [
        ("created", {}),
        ("dispatch", {"unit": "a"}),
        ("ask_return", {"unit": "a"}),
        ("grant_return", {"unit": "a"}),
        ("dispatch", {"unit": "b"}),
    ]
    assert past_of(events, first="c") == Past(leads=("a", "b"), returned=("a",), first="c")


CODES = [unit.code for unit in UNITS]
SOME = st.lists(st.sampled_from([*CODES, "gone"]), max_size=3, unique=True).map(tuple)
CATEGORIES = st.sampled_from(["", LAMP, "市政园林", "市政园林/道路破损", "住房/产权证"])
PLACES = st.sampled_from(["", "永宁镇", "康庄镇", "永宁古城"])
CASES = st.fixed_dictionaries(
    {
        "entries": st.lists(
            st.builds(Entry, CATEGORIES, PLACES, st.sampled_from([*CODES, TOWN_UNIT]), SOME), max_size=8
        ),
        "units": st.lists(st.sampled_from(UNITS), unique_by=lambda unit: unit.code),
        "past": st.builds(Past, leads=SOME, returned=SOME, first=st.sampled_from(["", *CODES])),
        "habits": st.dictionaries(st.sampled_from(CODES), st.integers(1, 50), max_size=4),
        "rules": st.builds(Rules, fallback=st.sampled_from(["", *CODES]), town_joins=st.just(frozenset({"T1"}))),
        "limit": st.integers(1, 5),
    }
)
MATTERS = st.builds(
    Matter,
    category=CATEGORIES,
    town=PLACES,
    places=st.lists(PLACES, max_size=2).map(tuple),
    tier=st.sampled_from(["", "T1", "T3"]),
    category_confidence=st.floats(0, 1),
    place_confidence=st.floats(0, 1),
)


@settings(deadline=None, max_examples=300)
@given(MATTERS, CASES, st.randoms(use_true_random=False))
def test_every_suggestion_has_one_open_lead_that_did_not_return_it(matter: Matter, case: dict, random) -> None:  # type: ignore[no-untyped-def, type-arg]
    found = suggest(matter, **case)
    open_units = {unit.code for unit in case["units"] if unit.active} - set(case["past"].returned)
    assert len(found) <= case["limit"]
    assert len({each.unit for each in found}) == len(found)
    for each in found:
        assert each.unit in open_units
        assert each.unit not in each.co_units
        assert set(each.co_units) <= {unit.code for unit in case["units"] if unit.active}
        assert 0 <= each.confidence <= 1
        assert each.reason
    offices = {unit.code for unit in case["units"] if unit.kind == "office"} & open_units
    assert found or not offices
    shuffled = {**case, "entries": random.sample(case["entries"], len(case["entries"])), "units": case["units"][::-1]}
    unique = len({entry.key for entry in case["entries"]}) == len(case["entries"])
    assert not unique or suggest(matter, **shuffled) == found
