"""Frames between processes that share a call distributor: there and back, and nothing else."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.acd.events import CallerJoined, TimePassed
from ivr.acd.wire import KINDS, Frame

TEXTS = st.text(max_size=20)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    tuple[str, ...]: st.lists(TEXTS, max_size=3).map(tuple),
    frozenset[str]: st.frozensets(TEXTS, max_size=3),
}
ITEMS = st.one_of(
    *(st.builds(kind, **{part.name: VALUES[part.type] for part in fields(kind)}) for kind in KINDS.values())
)
FRAMES = st.builds(
    Frame,
    sender=TEXTS,
    to=TEXTS,
    term=st.integers(0),
    session=st.integers(0),
    first=st.integers(0),
    received=st.integers(-1),
    items=st.lists(ITEMS, max_size=5).map(tuple),
)


@given(FRAMES)
def test_a_frame_comes_back_from_json_as_it_was(frame: Frame) -> None:
    assert Frame.parse(json.loads(json.dumps(frame.serialize()))) == frame


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(FRAMES, st.data())
def test_a_frame_with_something_else_in_it_is_refused_or_read(frame: Frame, data: st.DataObject) -> None:
    plain: dict[str, Any] = frame.serialize()
    target = data.draw(st.sampled_from([plain, *plain["items"]]))
    target[data.draw(st.sampled_from([*target, "more"]))] = data.draw(JSON)
    try:
        again = Frame.parse(plain)
    except ProtocolError:
        return
    assert Frame.parse(again.serialize()) == again


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": True},
        {"priority": 1.5},
        {"waited_s": float("nan")},
        {"waited_s": float("inf")},
        {"waited_s": "1"},
        {"skills": "abc"},
        {"skills": [1]},
        {"call": "x" * 257},
        {"kind": "time_passed"},
        {"kind": ["caller_joined"]},
        {"extra": 1},
    ],
)
def test_an_item_with_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    plain = frame_of(CallerJoined("c1", "operator")).serialize()
    plain["items"][0].update(wrong)
    with pytest.raises(ProtocolError):
        Frame.parse(plain)


@pytest.mark.parametrize("wrong", [{"term": -1}, {"received": -2}, {"first": 1.0}, {"items": None}, {"sender": 1}])
def test_a_frame_with_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Frame.parse({**frame_of().serialize(), **wrong})


def test_time_is_not_sent() -> None:
    assert TimePassed not in KINDS.values()


def frame_of(*items: Any) -> Frame:
    return Frame(sender="a", to="b", term=1, session=1, first=0, received=0, items=items)
