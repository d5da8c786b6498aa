"""The dial plan: nobody calls where the plan does not let him."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from ivr.access.dialplan import DialPlan, Extension, Refusal, ToExtension, ToNumber, ToTrunk, Trunk, compile_pattern
from ivr.trunks.carriers import Numbering

PLAN = DialPlan(
    from_trunk=("12345", "0106910XXXX"),
    from_extension=("12345",),
    outgoing=("1[3-9]XXXXXXXXX",),
    between_extensions=True,
    is_extension=lambda name: name in ("8001", "8002"),
)


@pytest.mark.parametrize(
    ("origin", "called", "route"),
    [
        (Trunk(), "12345", ToNumber("12345")),
        (Trunk("carrier"), "01069101234", ToNumber("01069101234")),
        (Trunk(), "0015551234", Refusal("not_our_number")),
        (Trunk(), "13800138000", Refusal("not_our_number")),
        (Trunk(), "8001", Refusal("not_our_number")),
        (Trunk(), "", Refusal("not_our_number")),
        (Extension("8001"), "12345", ToNumber("12345")),
        (Extension("8001"), "8002", ToExtension("8002")),
        (Extension("8001"), "8001", Refusal("not_in_plan")),
        (Extension("8001"), "8003", Refusal("not_in_plan")),
        (Extension("8001"), "13800138000", ToTrunk("13800138000")),
        (Extension("8001"), "0015551234", Refusal("not_in_plan")),
        (Extension("8001"), "12345" * 20, Refusal("not_our_number")),
    ],
)
def test_who_reaches_what(origin: Trunk | Extension, called: str, route: object) -> None:
    assert PLAN.decide(origin, called) == route


def test_refusals_are_counted_by_reason() -> None:
    plan = DialPlan(from_trunk=("12345",))
    plan.decide(Trunk(), "12345")
    plan.decide(Trunk(), "900")
    plan.decide(Extension("8001"), "900")
    assert plan.counters == {"refused_not_our_number": 1, "refused_not_in_plan": 1}


def test_by_default_a_trunk_reaches_the_menu_whatever_it_calls_and_an_extension_nothing() -> None:
    plan = DialPlan()
    assert plan.decide(Trunk(), "任何") == ToNumber("任何")
    assert plan.decide(Extension("8001"), "12345") == Refusal("not_in_plan")


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("1XXX", ["1000", "1999"], ["100", "10000", "2000", "1a00"]),
        ("ZN", ["12", "99"], ["02", "11"]),
        ("[1-3]5", ["15", "35"], ["45"]),
        ("139.", ["1390"], ["139", "138"]),
        ("139!", ["139", "1390"], ["13"]),
        ("*97", ["*97"], ["997"]),
        ("+86X", ["+861"], ["861"]),
        ("desk-1", ["desk-1"], ["desk_1", "desk-2"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], does_not: list[str]) -> None:
    compiled = compile_pattern(pattern)
    assert all(compiled.fullmatch(each) for each in fits)
    assert not any(compiled.fullmatch(each) for each in does_not)


@pytest.mark.parametrize("pattern", ["", "12.45", "12 45", "(1)", "[1", "[9-1]", "1!2", "[]", "1\n"])
def test_what_is_no_pattern_is_named(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="pattern"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "called", ["13800138000", "+8613800138000", "008613800138000", "013800138000", "138-0013-8000"]
)
def test_numbers_outside_are_judged_in_their_one_form_however_they_are_dialled(called: str) -> None:
    plan = DialPlan(outgoing=["138."], canonical=Numbering(area_code="010").canonical)
    assert plan.decide(Extension("8001"), called) == ToTrunk("13800138000")
    assert plan.decide(Extension("8001"), "+442079460958") == Refusal("not_in_plan")


@given(st.text(max_size=100))
def test_a_trunk_never_gets_further_than_our_numbers(called: str) -> None:
    route = PLAN.decide(Trunk(), called)
    assert isinstance(route, Refusal) or called == "12345" or called.startswith("0106910")


@given(st.text(max_size=30))
def test_a_pattern_is_compiled_or_refused(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except ConfigurationError:
        return
