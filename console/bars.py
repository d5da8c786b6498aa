"""Counts as columns of a small SVG. Pure: the same columns are drawn on a page and in a report."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, EDGE, FOOT = 640, 180, 12, 24
MAX_LABELS = 12


@dataclass(frozen=True)
class Column:
    """One count and where it stands; `label`: under it, empty where there is no room for all."""

    name: str
    label: str
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Columns:
    """A chart. `top`: the count at the upper edge; `words`: what it says to those who do not see it."""

    title: str
    columns: tuple[Column, ...]
    top: int
    width: int = WIDTH
    height: int = HEIGHT
    base: int = HEIGHT - FOOT

    @property
    def words(self) -> str:
        """All counts."""
        told = "，".join(f"{column.name} {column.count}" for column in self.columns)
        return f"{self.title}：{told}" if told else self.title


def columns(title: str, names: Sequence[str], counts: Sequence[int]) -> Columns:
    """A column for each count, in order."""
    top = nice_top(max(counts, default=0))
    step = (WIDTH - 2 * EDGE) / max(1, len(counts))
    every = -(-len(counts) // MAX_LABELS) or 1
    room = HEIGHT - FOOT - EDGE
    return Columns(
        title,
        tuple(
            Column(
                name=name,
                label=name if index % every == 0 and EDGE + step * (index + 0.5) < WIDTH - 2 * EDGE else "",
                count=count,
                x=EDGE + step * index + step * 0.15,
                y=HEIGHT - FOOT - room * count / top,
                width=step * 0.7,
                height=room * count / top,
            )
            for index, (name, count) in enumerate(zip(names, counts, strict=True))
        ),
        top,
    )


def nice_top(largest: int) -> int:
    """The round number at the upper edge: 1, 2 or 5 times a power of ten that nothing exceeds."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= max(1, largest):
                return factor * power
        power *= 10
