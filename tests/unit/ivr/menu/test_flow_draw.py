"""Pictures of flows."""

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.announcements.prompts import PromptLibrary
from ivr.menu.check import reachable
from ivr.menu.draw import mermaid, svg
from ivr.menu.flow import Flow
from ivr.menu.layout import GAP_X, place
from ivr.menu.loader import load_flow

FLOWS = Path(__file__).resolve().parents[4] / "ivr/flows"
PROMPTS = PromptLibrary.load(FLOWS.parent / "prompts/zh")
SVG = "{http://www.w3.org/2000/svg}"


def shipped(name: str) -> Flow:
    return load_flow(FLOWS / f"{name}.yaml", prompts=frozenset(PROMPTS.names))


@pytest.mark.parametrize("name", ["intake", "menu", "queue", "survey", "after_hours", "emergency"])
def test_the_picture_shows_every_state_and_its_words(name: str) -> None:
    flow = shipped(name)
    root = ElementTree.fromstring(svg(flow, text_of=PROMPTS.text))
    texts = "".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert len(root.findall(f"{SVG}g")) == len(reachable(flow))
    for state in reachable(flow):
        assert state in texts
        for item in flow.states[state].play:
            assert PROMPTS.text(item) in texts if not item.startswith("{") else item in texts


def test_boxes_do_not_overlap_and_stay_in_the_picture() -> None:
    root = ElementTree.fromstring(svg(shipped("menu"), text_of=PROMPTS.text))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in root.findall(f"{SVG}g/{SVG}rect")
    ]
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    for x, y, w, h in boxes:
        assert left <= x
        assert top <= y
        assert x + w <= left + width
        assert y + h <= top + height


def test_labels_beside_one_another_do_not_overlap() -> None:
    root = ElementTree.fromstring(svg(shipped("menu"), text_of=PROMPTS.text))
    labels = [text for text in root.findall(f"{SVG}text") if text.attrib.get("text-anchor") == "middle"]
    spans = []
    for label in labels:
        half = sum(0.6 if c.isascii() else 1.0 for c in label.text or "") * 11 / 2
        spans.append((float(label.attrib["y"]), float(label.attrib["x"]) - half, float(label.attrib["x"]) + half))
    assert len(spans) > 20
    for (y, begin, end), (y2, begin2, end2) in combinations(spans, 2):
        assert abs(y - y2) >= 10 or end <= begin2 or end2 <= begin


def test_mermaid_names_states_and_keys() -> None:
    text = mermaid(shipped("intake"), text_of=PROMPTS.text)
    assert text.startswith("flowchart TD\n")
    assert 'notice["notice · 播放<br/>您好，12345热线。' in text
    assert 'tell_number -->|"按 *"| tell_number' in text
    assert "#123;number#125;" in text
    assert re.search(r"end\(\[.*挂机", text)


def test_what_a_site_writes_is_escaped() -> None:
    flow = shipped("intake")
    assert ElementTree.fromstring(svg(flow, text_of=lambda name: "<b>&\"'"))
    assert '"<b>' not in mermaid(flow, text_of=lambda name: '"quoted"').split("br/>")[1]


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES), max_size=30))
def test_any_graph_is_placed_without_overlap_and_mostly_downward(edges: list[tuple[str, str]]) -> None:
    sizes = {name: (50.0 + 10 * index, 30.0) for index, name in enumerate("abcdefgh")}
    boxes = place(sizes, edges, starts=["a"])
    assert boxes.keys() == sizes.keys()
    for one, other in combinations(boxes.values(), 2):
        if one.layer == other.layer:
            assert abs(one.x - other.x) >= (one.width + other.width) / 2 + GAP_X - 0.001
        else:
            assert (one.layer < other.layer) == (one.y < other.y)
    if all(source < target for source, target in edges):  # no cycle
        assert all(boxes[source].layer < boxes[target].layer for source, target in edges)
