"""Figures as lines of a small SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.repository import QualityRow
from asr.scoring import Errors

WIDTH, HEIGHT, EDGE = 640, 160, 12


@dataclass(frozen=True)
class DayPoint:
    """The error rate of a day, and where it is drawn."""

    day: str
    calls: int
    errors: Errors
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class QualitySeries:
    """One engine, model and pass: its errors in all, by speaker and by day. `top`: the rate at the upper edge."""

    origin: str
    engine: str
    model: str
    errors: Errors
    calls: int
    speakers: tuple[tuple[str, str, int, Errors], ...]
    points: tuple[DayPoint, ...]
    top: float

    @property
    def line(self) -> str:
        """The points of an SVG polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def quality_series(rows: Sequence[QualityRow]) -> list[QualitySeries]:
    """The rows by engine, model and pass, the one with most confirmed characters first."""
    groups: dict[tuple[str, str, str], list[QualityRow]] = {}
    for row in rows:
        groups.setdefault((row.origin, row.engine, row.model), []).append(row)
    days = sorted({row.day for row in rows})
    return sorted(
        (_series(*key, own, days) for key, own in groups.items()), key=lambda series: -series.errors.characters
    )


def _series(origin: str, engine: str, model: str, rows: Sequence[QualityRow], days: Sequence[str]) -> QualitySeries:
    by_day = {day: [row for row in rows if row.day == day] for day in days}
    pooled = {day: _pooled(own) for day, own in by_day.items() if own}
    top = max([0.05, *(errors.cer for errors in pooled.values())])
    speakers: dict[tuple[str, str], list[QualityRow]] = {}
    for row in rows:
        speakers.setdefault((row.speaker, row.seat), []).append(row)
    return QualitySeries(
        origin=origin,
        engine=engine,
        model=model,
        errors=_pooled(rows),
        # a call has a row for each of its speakers: those of the one with most are how many calls there were
        calls=sum(_calls(own) for own in by_day.values()),
        speakers=tuple(
            (speaker, seat, sum(row.calls for row in own), _pooled(own))
            for (speaker, seat), own in sorted(speakers.items())
        ),
        points=tuple(
            DayPoint(
                day,
                _calls(by_day[day]),
                errors,
                EDGE + (WIDTH - 2 * EDGE) * (days.index(day) / (len(days) - 1) if len(days) > 1 else 0.5),
                HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * errors.cer / top,
            )
            for day, errors in pooled.items()
        ),
        top=top,
    )


def _pooled(rows: Sequence[QualityRow]) -> Errors:
    return sum((row.errors for row in rows), Errors())


def _calls(rows: Sequence[QualityRow]) -> int:
    by_speaker: dict[str, int] = {}
    for row in rows:
        by_speaker[row.speaker] = by_speaker.get(row.speaker, 0) + row.calls
    return max(by_speaker.values(), default=0)


SPARK_WIDTH, SPARK_HEIGHT = 140, 32


def spark_line(values: Sequence[int]) -> str:
    """The points of a small polyline, the largest value at the top."""
    top, step = max([1, *values]), SPARK_WIDTH / max(1, len(values) - 1)
    return " ".join(
        f"{at * step:.1f},{SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * value / top:.1f}" for at, value in enumerate(values)
    )
