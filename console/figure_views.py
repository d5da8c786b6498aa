"""Figures and rates as tables, tiles and charts for pages, exports and reports. Pure, but for `overview`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy.orm import Session

from console import labels
from console.bars import Columns, columns
from console.tabular import Cell, Growth, Percent, Score, Table
from tickets import figures
from tickets.figure_repository import by_day, figures_of
from tickets.figures import Comparison, Figures, Span, first_levels
from tickets.formulas import QUESTIONS, Formula
from tickets.publication import line_of
from tickets.rates import Line

TOP = 10
RATE_TABLES = {
    "towns": "乡镇街道",
    "departments": "部门",
    "companies": "公共服务企业",
    "offices": "区中心",
    "town": "属地",
    "category": "类别",
    "source": "来源",
}
UNIT_TABLES = ("towns", "departments", "companies", "offices")
RATE_COLUMNS = ("名次", "名称", "有效回访", "响应率", "解决率", "满意率", "得分")


@dataclass(frozen=True)
class Overview:
    """The figures of a span beside those of the spans before. `unit`: of that one alone, "" of all."""

    span: Span
    now: Figures
    before: tuple[tuple[Comparison, Figures], ...]
    days: Mapping[str, int]
    unit: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure with its changes: (how the span before is called, change in words). `met`: None without a target."""

    name: str
    value: str
    note: str
    changes: tuple[tuple[str, str], ...]
    met: bool | None = None


def overview(session: Session, span: Span, *, unit: str = "") -> Overview:
    """Reads a span and those that it is compared with."""
    own = unit or None
    return Overview(
        span=span,
        now=figures_of(session, span, unit=own),
        before=tuple((item, figures_of(session, item.span, unit=own)) for item in figures.comparisons(span)),
        days=by_day(session, span, figures.TICKETS, unit=own),
        unit=unit,
    )


def tiles(view: Overview) -> list[Tile]:
    """What is seen first."""
    now = view.now
    fast, reached = now.share(figures.FAST, figures.CALLS), now.share(figures.CONNECTED_FAST, figures.QUEUED)
    waited, queued = now.get(figures.WAITED_MS), now.get(figures.QUEUED)
    target = f"目标 {figures.percent(figures.FAST_TARGET, 0)}"
    calls = [
        Tile("来电", f"{now.get(figures.CALLS):,}", "呼入通话", _counts(view, figures.CALLS)),
        Tile(
            "15 秒内应答",
            str(Percent(fast)),
            target,
            _shares(view, figures.FAST, figures.CALLS),
            None if fast is None else fast >= figures.FAST_TARGET,
        ),
        Tile(
            "15 秒内转接人工",
            str(Percent(reached)),
            f"{target}，排队 {queued:,} 通",
            _shares(view, figures.CONNECTED_FAST, figures.QUEUED),
            None if reached is None else reached >= figures.FAST_TARGET,
        ),
        Tile(
            "排队中放弃",
            str(Percent(now.share(figures.ABANDONED, figures.QUEUED))),
            f"平均等待 {waited / queued / 1000:.0f} 秒" if queued else "没有排队",
            _shares(view, figures.ABANDONED, figures.QUEUED),
        ),
    ]
    met = now.clocks_met()
    decided = now.get(figures.CLOCK_MET) + now.get(figures.CLOCK_MISSED)
    return [
        *([] if view.unit else calls),
        Tile("工单", f"{now.get(figures.TICKETS):,}", "新建", _counts(view, figures.TICKETS)),
        Tile("办结", f"{now.get(figures.CLOSED):,}", "含直接答复等", _counts(view, figures.CLOSED)),
        Tile(
            "时限达标",
            str(Percent(met)),
            f"共 {decided:,} 个时限",
            tuple((item.name, _points(met, other.clocks_met())) for item, other in view.before),
        ),
    ]


def charts(view: Overview) -> list[Columns]:
    """Tickets by day and by hour."""
    days = view.span.each()
    found = []
    if len(days) > 1:
        names = [f"{day.month}/{day.day}" for day in days]
        found.append(columns("每日工单", names, figures.series(days, view.days)))
    if not view.unit:
        hours = figures.by_hour(view.now, figures.TICKETS)
        found.append(columns("各时段工单", [str(hour) for hour in range(24)], hours))
    return found


def figure_tables(view: Overview, units: Mapping[str, str]) -> list[Table]:
    """All tables of an overview. `units`: code -> name."""
    note = f"{view.span.words()}" + "".join(f"；{item.name}：{item.span.words()}" for item, _ in view.before)
    found = [
        Table(
            "概况",
            ("指标", "本期", "说明", *(item.name for item, _ in view.before)),
            tuple((tile.name, tile.value, tile.note, *(words for _, words in tile.changes)) for tile in tiles(view)),
            note,
        ),
        Table("时限", ("环节", "时限等级", "达标", "超时", "达标率"), _clock_rows(view.now)),
        Table(
            "每日",
            ("日期", "工单"),
            tuple((day.isoformat(), view.days.get(day.isoformat(), 0)) for day in view.span.each()),
        ),
    ]
    if view.unit:
        return found
    levels = Overview(
        view.span,
        first_levels(view.now, figures.TICKETS),
        tuple((item, first_levels(other, figures.TICKETS)) for item, other in view.before),
        view.days,
    )
    return [
        *found,
        _top("类别", levels, "category", lambda key: key or "未分类"),
        _top("二级类别", view, "category", lambda key: key.replace("/", " / ") or "未分类"),
        _top("属地", view, "town", lambda key: key or "未填属地"),
        _top("承办单位", view, "unit", lambda key: units.get(key, key) or "未派单"),
        _top("渠道", view, "channel", lambda key: labels.label(labels.CHANNELS, key)),
        _top("类型", view, "type", lambda key: labels.label(labels.TYPES, key) or "未定"),
    ]


def rate_table(title: str, lines: Sequence[Line], formula: Formula, note: str = "", *, ranked: bool = True) -> Table:
    """Rates, with places where it is a ranking."""
    rows = tuple(_rate_row(line, formula) for line in lines)
    if ranked:
        return Table(title, RATE_COLUMNS, rows, note)
    return Table(title, RATE_COLUMNS[1:], tuple(row[1:] for row in rows), note)


def rate_tables(outputs: Mapping[str, Any], formula: Formula, note: str = "", *, unit: str = "") -> dict[str, Table]:
    """Those of a variant that have lines, by their name in the outputs, the total first. `unit`: its line alone."""
    found = {}
    for name, title in {"total": "全部", **RATE_TABLES}.items():
        lines = [line_of(data) for data in outputs[name]]
        if unit:
            lines = [line for line in lines if line.key == unit] if name in UNIT_TABLES else []
        if name == "source":
            lines = [Line(line.key, labels.label(labels.CHANNELS, line.key), line.rates) for line in lines]
        if lines:
            told = note if name == "total" or unit else ""
            found[name] = rate_table(title, lines, formula, told, ranked=name in UNIT_TABLES)
    return found


def default_span(today: date) -> Span:
    """The seven days up to today."""
    return Span(today - timedelta(days=6), today)


def _rate_row(line: Line, formula: Formula) -> tuple[Cell, ...]:
    rates = (Percent(line.rates.rate(question), formula.decimals) for question in QUESTIONS)
    score = Score(line.rates.score(formula), formula.decimals)
    return (line.place or "—", line.name, line.rates.valid, *rates, score)


def _top(title: str, view: Overview, dimension: str, name: Callable[[str], str]) -> Table:
    now = view.now
    rows: list[tuple[Cell, ...]] = []
    for key in now.keys(figures.TICKETS, dimension)[:TOP]:
        count = now.get(figures.TICKETS, dimension, key)
        changes = (Growth(count, other.get(figures.TICKETS, dimension, key)) for _, other in view.before)
        rows.append((name(key), count, *changes))
    return Table(title, (title, "工单", *(f"较{item.name}" for item, _ in view.before)), tuple(rows))


def _clock_rows(now: Figures) -> tuple[tuple[Cell, ...], ...]:
    rows: list[tuple[Cell, ...]] = []
    for step, label in figures.STEP_LABELS.items():
        for tier in ("", *labels.TIERS):
            where = ("step_tier", f"{step}/{tier}") if tier else ("step", step)
            met, missed = now.get(figures.CLOCK_MET, *where), now.get(figures.CLOCK_MISSED, *where)
            if met + missed:
                rows.append((label, tier or "合计", met, missed, Percent(now.clocks_met(*where))))
    return tuple(rows)


def _counts(view: Overview, kind: str) -> tuple[tuple[str, str], ...]:
    return tuple((item.name, figures.change_words(view.now.get(kind), other.get(kind))) for item, other in view.before)


def _shares(view: Overview, part: str, whole: str) -> tuple[tuple[str, str], ...]:
    now = view.now.share(part, whole)
    return tuple((item.name, _points(now, other.share(part, whole))) for item, other in view.before)


def _points(now: Fraction | None, before: Fraction | None) -> str:
    """A difference of shares in percentage points."""
    if now is None or before is None:
        return "—"
    tenths = round((now - before) * 1000)
    return "持平" if not tenths else f"{'+' if tenths > 0 else '−'}{abs(tenths) / 10:.1f} 个百分点"
