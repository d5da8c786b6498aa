"""The monthly report: what it says, from figures alone; `report_docx` and `report_pdf` write it. Pure.

Sentences are made from templates and numbers; nothing is said that no number says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console import figure_views
from console.bars import Columns
from console.figure_views import Overview
from console.tabular import Table
from tickets import figures
from tickets.formulas import QUESTIONS, Formula, RatePeriod
from tickets.publication import line_of
from tickets.rates import VARIANTS, WITH, WITHOUT, percent, shown

NUMERALS = "一二三四五六七八九十"


@dataclass(frozen=True)
class Section:
    """A chapter: sentences, then charts, then tables."""

    title: str
    sentences: tuple[str, ...]
    charts: tuple[Columns, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole report."""

    site_name: str
    title: str
    subtitle: str
    made: str
    sections: tuple[Section, ...]

    def numbered(self) -> list[tuple[str, Section]]:
        """The sections with their numerals."""
        return [(f"{NUMERALS[index]}、{section.title}", section) for index, section in enumerate(self.sections)]


@dataclass(frozen=True)
class RatesOfMonth:
    """The rates that the report tells. `published`: the number of the publication, None for a draft."""

    formula: Formula
    period: RatePeriod
    period_words: str
    outputs: Mapping[str, Any]
    published: int | None


def monthly_report(
    view: Overview, rates: RatesOfMonth, *, site_name: str, units: Mapping[str, str], made_at: datetime, made_by: str
) -> Report:
    """Of a calendar month, with the rates of the period that is named after it. `made_at`: local."""
    span = view.span
    by_title = {table.title: table for table in figure_views.figure_tables(view, units)}
    charts = tuple(figure_views.charts(view))
    return Report(
        site_name=site_name,
        title=f"{span.first.year} 年 {span.first.month} 月运行月报",
        subtitle=f"{span.first:%Y 年 %-m 月 %-d 日}至 {span.last:%-m 月 %-d 日}",
        made=f"{made_at:%Y 年 %-m 月 %-d 日 %H:%M}，{made_by}",
        sections=(
            Section("概况", (summary(view, rates),), tables=(by_title["概况"],)),
            Section("受理情况", intake_sentences(view), charts, tuple(by_title[name] for name in ("类别", "属地"))),
            Section("承办与时限", clock_sentences(view), tables=(by_title["承办单位"], by_title["时限"])),
            Section("三率与排名", rate_sentences(rates), tables=_rate_tables(rates)),
        ),
    )


def summary(view: Overview, rates: RatesOfMonth) -> str:
    """The month in one sentence."""
    now = view.now
    changes = "，".join(
        f"较{item.name}{_growth(now.get(figures.TICKETS), other.get(figures.TICKETS))}" for item, other in view.before
    )
    parts = [
        f"本月共接来电 {now.get(figures.CALLS):,} 通，新建工单 {now.get(figures.TICKETS):,} 件"
        + (f"（{changes}）" if changes else ""),
        f"办结 {now.get(figures.CLOSED):,} 件",
        f"15 秒内应答率 {figures.percent(now.share(figures.FAST, figures.CALLS))}",
        f"时限达标率 {figures.percent(now.clocks_met())}",
    ]
    total = line_of(rates.outputs[WITHOUT]["total"][0]).rates
    told = [percent(total.rate(question), rates.formula.decimals) for question in QUESTIONS]
    score = shown(total.score(rates.formula), rates.formula.decimals)
    parts.append(f"响应率 {told[0]}、解决率 {told[1]}、满意率 {told[2]}，综合得分 {score}")
    return "；".join(parts) + "。"


def intake_sentences(view: Overview) -> tuple[str, ...]:
    """Calls, queues and what it was about."""
    now, found = view.now, []
    queued = now.get(figures.QUEUED)
    if queued:
        found.append(
            f"排队等待人工 {queued:,} 通，接通 {now.get(figures.CONNECTED):,} 通，"
            f"其中 15 秒内接通率 {figures.percent(now.share(figures.CONNECTED_FAST, figures.QUEUED))}（目标 95%），"
            f"放弃率 {figures.percent(now.share(figures.ABANDONED, figures.QUEUED))}，"
            f"平均等待 {now.get(figures.WAITED_MS) / queued / 1000:.0f} 秒。"
        )
    levels = figures.first_levels(now, figures.TICKETS)
    top = [
        f"{key or '未分类'} {levels.get(figures.TICKETS, 'category', key):,} 件"
        for key in levels.keys(figures.TICKETS, "category")[:3]
    ]
    if top:
        found.append(f"诉求最多的类别为{'、'.join(top)}。")
    return tuple(found) or ("本月没有受理记录。",)


def clock_sentences(view: Overview) -> tuple[str, ...]:
    """How deadlines were kept."""
    now = view.now
    decided = now.get(figures.CLOCK_MET) + now.get(figures.CLOCK_MISSED)
    if not decided:
        return ("本月没有到期或完成的时限。",)
    return (
        f"本月到期或完成的时限共 {decided:,} 个，达标 {now.get(figures.CLOCK_MET):,} 个，"
        f"超时 {now.get(figures.CLOCK_MISSED):,} 个，达标率 {figures.percent(now.clocks_met())}。",
    )


def rate_sentences(rates: RatesOfMonth) -> tuple[str, ...]:
    """Which rates these are, and of how many call-backs."""
    valid = {variant: line_of(rates.outputs[variant]["total"][0]).rates.valid for variant in VARIANTS}
    source = f"第 {rates.published} 号发布" if rates.published else "试算，未发布"
    return (
        f"统计周期为 {rates.period_words}（{source}）。口径 {rates.formula.name}：{rates.formula.title}。",
        f"剔除后有效回访 {valid[WITHOUT]:,} 件，含剔除工单 {valid[WITH]:,} 件；排名按剔除后得分，"
        "得分相同的并列，没有有效回访的以“—”表示。",
    )


def _rate_tables(rates: RatesOfMonth) -> tuple[Table, ...]:
    found = figure_views.rate_tables(rates.outputs[WITHOUT], rates.formula)
    towns, departments = (
        found.get(name, Table(figure_views.RATE_TABLES[name], figure_views.RATE_COLUMNS, ()))
        for name in ("towns", "departments")
    )
    return (towns, departments, *([found["companies"]] if "companies" in found else []))


def _growth(now: int, before: int) -> str:
    words = figures.change_words(now, before)
    if words == "—":
        return "无可比数据"
    if words == "持平":
        return words
    return f"{'增长' if words[0] == '+' else '下降'} {words[1:]}"
