"""The design system's colours are readable: WCAG 2.2 contrast, computed from the style sheet itself."""

import re

import pytest

from console.rendering import STATIC

TOKENS = (STATIC / "css" / "tokens.css").read_text(encoding="utf-8")
TONES = ("neutral", "active", "attention", "warning", "done", "danger")
TEXT = [
    *((ink, ground) for ink in ("ink", "ink-soft", "ink-faint") for ground in ("surface", "sunken", "canvas")),
    ("accent", "surface"),
    ("accent-strong", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("mark-ink", "mark"),
    ("caller", "surface"),
    ("caller", "sunken"),
    ("hotline", "surface"),
    ("hotline", "sunken"),
    ("ink", "active-soft"),
    ("ink", "neutral-soft"),
    *((f"{tone}-ink", f"{tone}-soft") for tone in TONES),
]
EDGES = [("line-strong", "surface"), ("focus", "surface"), ("focus", "canvas"), ("accent", "canvas")]


def colours(scheme: str) -> dict[str, str]:
    light, _, dark = TOKENS.partition("@media (prefers-color-scheme: dark)")
    found = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
    return dict(found.findall(light)) | (dict(found.findall(dark)) if scheme == "dark" else {})


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_reaches_aa(scheme: str, ink: str, ground: str) -> None:
    values = colours(scheme)
    assert contrast(values[ink], values[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_edges_of_controls_reach_three_to_one(scheme: str, edge: str, ground: str) -> None:
    values = colours(scheme)
    assert contrast(values[edge], values[ground]) >= 3


def test_every_colour_has_its_dark_sibling() -> None:
    light, _, dark = TOKENS.partition("@media (prefers-color-scheme: dark)")
    names = re.compile(r"--([\w-]+): #")
    assert set(names.findall(light)) == set(names.findall(dark))


def test_style_sheets_use_no_colour_of_their_own() -> None:
    for path in (STATIC / "css").glob("*.css"):
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-f]{3,8}\b", path.read_text(encoding="utf-8")), path.name
            used = set(re.findall(r"var\(--([\w-]+)\)", path.read_text(encoding="utf-8")))
            assert used <= set(re.findall(r"--([\w-]+):", TOKENS)), path.name
