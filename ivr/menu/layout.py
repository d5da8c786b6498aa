"""Places a graph's nodes in layers, as Sugiyama, Tagawa and Toda (1981) do: by distance, few crossings, short edges.

Pure: nodes have a width and a height, the result is where they stand. Edges that go up are left to the drawer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
GAP_X = 36.0
GAP_Y = 64.0


@dataclass(frozen=True)
class Box:
    """A placed node: centre and size."""

    x: float
    y: float
    width: float
    height: float
    layer: int


def place(
    sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]], *, starts: Iterable[str]
) -> dict[str, Box]:
    """Boxes by name; nodes that no start reaches stand in the first layer."""
    down = _acyclic(sizes, edges, starts)
    layers = _layers(sizes, down)
    rows = _rows(layers)
    for sweep in range(SWEEPS):
        _order(rows, down, downward=sweep % 2 == 0)
    across = _across(rows, sizes, down)
    boxes: dict[str, Box] = {}
    top = 0.0
    for number, row in enumerate(rows):
        height = max(sizes[name][1] for name in row)
        for name in row:
            boxes[name] = Box(across[name], top + height / 2, *sizes[name], number)
        top += height + GAP_Y
    return boxes


def _acyclic(
    sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]], starts: Iterable[str]
) -> list[tuple[str, str]]:
    """The edges that a depth-first walk from the starts does not find to lead back."""
    targets: dict[str, list[str]] = {name: [] for name in sizes}
    for source, target in edges:
        if target not in targets[source]:
            targets[source].append(target)
    down: list[tuple[str, str]] = []
    done: set[str] = set()
    for start in (*starts, *sizes):
        if start in done:
            continue
        trail = [(start, iter(targets[start]))]
        on_trail = {start}
        while trail:
            name, rest = trail[-1]
            target = next(rest, "")
            if not target:
                trail.pop()
                on_trail.discard(name)
                done.add(name)
            elif target not in on_trail:
                down.append((name, target))
                if target not in done:
                    trail.append((target, iter(targets[target])))
                    on_trail.add(target)
    return down


def _layers(sizes: Mapping[str, tuple[float, float]], down: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from a source, by repeated relaxing; there are no cycles."""
    layers = dict.fromkeys(sizes, 0)
    changed = True
    while changed:
        changed = False
        for source, target in down:
            if layers[target] <= layers[source]:
                layers[target] = layers[source] + 1
                changed = True
    return layers


def _rows(layers: Mapping[str, int]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name, layer in layers.items():
        rows[layer].append(name)
    return rows


def _order(rows: list[list[str]], down: Sequence[tuple[str, str]], *, downward: bool) -> None:
    """One sweep: each row by the mean position of its neighbours."""
    place_of = {name: index / max(len(row), 1) for row in rows for index, name in enumerate(row)}
    near: dict[str, list[str]] = {}
    for source, target in down:
        near.setdefault(target if downward else source, []).append(source if downward else target)
    for row in rows if downward else reversed(rows):
        weights = {
            name: sum(place_of[other] for other in near[name]) / len(near[name]) if name in near else place_of[name]
            for name in row
        }
        row.sort(key=lambda name: weights[name])
        for index, name in enumerate(row):
            place_of[name] = index / len(row)


def _across(
    rows: Sequence[Sequence[str]], sizes: Mapping[str, tuple[float, float]], down: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Each node near the mean of its neighbours, none over another, order kept."""
    x: dict[str, float] = {}
    for row in rows:
        right = 0.0
        for name in row:
            x[name] = right + sizes[name][0] / 2
            right += sizes[name][0] + GAP_X
    near: dict[str, list[str]] = {name: [] for name in x}
    for source, target in down:
        near[source].append(target)
        near[target].append(source)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wish = [sum(x[o] for o in near[name]) / len(near[name]) if near[name] else x[name] for name in row]
            for name, centre in zip(row, _apart(wish, [sizes[name][0] for name in row]), strict=True):
                x[name] = centre
    left = min((x[name] - sizes[name][0] / 2 for name in x), default=0.0)
    return {name: centre - left for name, centre in x.items()}


def _apart(wish: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The positions nearest to `wish` (least squares) in the same order and without overlap: pooled neighbours."""
    offsets = [0.0]
    for before, after in pairwise(widths):
        offsets.append(offsets[-1] + (before + after) / 2 + GAP_X)
    groups: list[tuple[float, int]] = []  # mean of (wish - offset), size
    for centre, offset in zip(wish, offsets, strict=True):
        mean, size = centre - offset, 1
        while groups and groups[-1][0] >= mean:
            other, count = groups.pop()
            mean, size = (other * count + mean * size) / (count + size), count + size
        groups.append((mean, size))
    flat = [mean for mean, size in groups for _ in range(size)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
