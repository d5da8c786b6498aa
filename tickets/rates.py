"""The three rates of a period, who ranks where, and why each ticket counts. Pure, in exact fractions.

- Of a ticket's call-backs those count that ended in the period and in which every question that the formula wants was
  answered; where there are several, the last one (or every one, as the formula says).
- A rate is what the answers add, over the valid call-backs. Without any there is no rate: a dash, never 0.
- What is shown is rounded once, half up, to the formula's decimals; scores shown alike share a place (1, 1, 3).
- Totals are pooled: call-backs are added up, rates are never averaged.
- Everything is told twice: with the tickets that were excluded from the assessment, and without. One under appeal
  counts in both until it is decided.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from tickets.formulas import QUESTIONS, Formula, RatePeriod

QUESTION_LABELS = {"contacted": "联系", "solved": "解决", "satisfied": "满意"}
ANSWER_LABELS: Mapping[str, Mapping[str, str]] = {
    "contacted": {"yes": "已联系", "no": "未联系", "": "未答是否联系"},
    "solved": {"yes": "已解决", "no": "未解决", "": "未答是否解决"},
    "satisfied": {
        "satisfied": "满意",
        "basically": "基本满意",
        "not_satisfied": "不满意",
        "": "未答满意程度",
    },
}
WITH, WITHOUT = "with_excluded", "without_excluded"
VARIANTS = {WITHOUT: "剔除后", WITH: "含剔除工单"}
TOTAL = "total"
NOBODY = ""


@dataclass(frozen=True)
class CallBack:
    """One caller asked after one pass. Answers are the survey's codes, empty where nothing was said."""

    at: datetime
    pass_number: int
    contacted: str = ""
    solved: str = ""
    satisfied: str = ""

    def answer(self, question: str) -> str:
        """To one of `QUESTIONS`."""
        return str(getattr(self, question))


_Counted = tuple[CallBack, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A ticket as far as rates know it. `unit`: the code of the lead; `kind`: of the unit; `excluded`: why it is not to
    count, empty where it is."""

    number: str
    unit: str = NOBODY
    unit_name: str = ""
    kind: str = ""
    town: str = ""
    category: str = ""
    source: str = ""
    excluded: str = ""
    under_appeal: bool = False
    call_backs: tuple[CallBack, ...] = ()


@dataclass(frozen=True)
class Rates:
    """Sums over valid call-backs; adding them pools them. `sums`: what the answers add, by question; `answers`: how
    often each was given, by question and code."""

    tickets: int = 0
    valid: int = 0
    sums: Mapping[str, Fraction] = field(default_factory=dict)
    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def __add__(self, other: "Rates") -> "Rates":
        return pooled((self, other))

    def rate(self, question: str) -> Fraction | None:
        """Response (`contacted`), resolution (`solved`) or satisfaction (`satisfied`), 0 to 1; None: no call-back."""
        return self.sums.get(question, Fraction(0)) / self.valid if self.valid else None

    def score(self, formula: Formula) -> Fraction | None:
        """0 to 100."""
        if not self.valid:
            return None
        return 100 * sum(
            (formula.weight(question) * (self.rate(question) or 0) for question in QUESTIONS),
            Fraction(0),
        )


@dataclass(frozen=True)
class Line:
    """A line of a table. `place`: 1 is best, equal scores share it; None without a score or outside a ranking."""

    key: str
    name: str
    rates: Rates
    place: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a ticket counts, and why. `counted`: the call-backs that do; `variants`: in which of the two tables."""

    case: Case
    counted: tuple[CallBack, ...]
    variants: tuple[str, ...]
    reason: str


def pooled(many: Iterable[Rates]) -> Rates:
    """All of them as one."""
    tickets = valid = 0
    sums: dict[str, Fraction] = defaultdict(Fraction)
    answers: dict[tuple[str, str], int] = defaultdict(int)
    for rates in many:
        tickets, valid = tickets + rates.tickets, valid + rates.valid
        for question, amount in rates.sums.items():
            sums[question] += amount
        for key, count in rates.answers.items():
            answers[key] += count
    return Rates(tickets, valid, dict(sums), dict(answers))


def is_valid(call_back: CallBack, formula: Formula, period: RatePeriod) -> bool:
    """Whether it ended in the period with every answer that the formula wants."""
    return call_back.at in period and all(
        call_back.answer(question) in formula.answers[question] for question in formula.valid
    )


def counted_call_backs(case: Case, formula: Formula, period: RatePeriod) -> tuple[CallBack, ...]:
    """Those that make up the ticket's part in the rates, in their order."""
    valid = sorted(
        (item for item in case.call_backs if is_valid(item, formula, period)),
        key=lambda item: (item.at, item.pass_number),
    )
    return tuple(valid[-1:] if formula.counts == "last" else valid)


def rates_of(cases: Iterable[Case], formula: Formula, period: RatePeriod) -> Rates:
    """Of these tickets, whatever they are; a ticket without a valid call-back adds nothing."""
    return _sum((counted_call_backs(case, formula, period) for case in cases), formula)


def _sum(counted: Iterable[tuple[CallBack, ...]], formula: Formula) -> Rates:
    tickets = valid = 0
    answers: dict[tuple[str, str], int] = defaultdict(int)
    for call_backs in counted:
        tickets, valid = tickets + bool(call_backs), valid + len(call_backs)
        for call_back in call_backs:
            for question in QUESTIONS:
                answers[question, call_back.answer(question)] += 1
    sums: dict[str, Fraction] = {question: Fraction(0) for question in QUESTIONS}
    for (question, answer), count in answers.items():
        sums[question] += count * formula.share(question, answer)
    return Rates(tickets, valid, sums, dict(answers))


def in_variant(case: Case, variant: str) -> bool:
    """Whether the ticket is in that one of the two tables."""
    return variant == WITH or not case.excluded


def rank(lines: Sequence[Line], formula: Formula) -> tuple[Line, ...]:
    """With places, the best first, those without a score last; lines of equal place by their keys."""
    scored = [(shown_number(line.rates.score(formula), formula.decimals), line) for line in lines]
    values = [score for score, _ in scored if score is not None]
    placed = [
        (
            score,
            Line(
                line.key,
                line.name,
                line.rates,
                None if score is None else 1 + sum(v > score for v in values),
            ),
        )
        for score, line in scored
    ]
    return tuple(line for _, line in sorted(placed, key=lambda item: (item[1].place or len(placed) + 1, item[1].key)))


def tables(cases: Sequence[Case], formula: Formula, period: RatePeriod, *, variant: str) -> dict[str, tuple[Line, ...]]:
    """All tables of a period, by name: `total`; `towns`, `departments`, `companies` and `offices`, each ranked apart;
    `town`, `category` (its first level), `subcategory`, `source`."""
    wanted = [(case, counted_call_backs(case, formula, period)) for case in cases if in_variant(case, variant)]

    def lines(name: Callable[[Case], tuple[str, str]], chosen: Iterable[tuple[Case, _Counted]]) -> list[Line]:
        groups: dict[str, list[_Counted]] = defaultdict(list)
        names: dict[str, str] = {}
        for case, counted in chosen:
            key, label = name(case)
            names[key] = label
            groups[key].append(counted)
        return [Line(key, names[key], _sum(groups[key], formula)) for key in sorted(groups)]

    def by_unit(kind: str) -> tuple[Line, ...]:
        own = (item for item in wanted if item[0].kind == kind and item[0].unit)
        return rank(lines(lambda case: (case.unit, case.unit_name or case.unit), own), formula)

    return {
        TOTAL: (Line(TOTAL, "全部", _sum((counted for _, counted in wanted), formula)),),
        "towns": by_unit("town"),
        "departments": by_unit("department"),
        "companies": by_unit("company"),
        "offices": by_unit("office"),
        "town": tuple(lines(lambda case: (case.town, case.town or "未填属地"), wanted)),
        "category": tuple(lines(lambda case: (_first(case), _first(case) or "未分类"), wanted)),
        "subcategory": tuple(lines(lambda case: (case.category, case.category or "未分类"), wanted)),
        "source": tuple(lines(lambda case: (case.source, case.source), wanted)),
    }


def _first(case: Case) -> str:
    return case.category.partition("/")[0]


def explain(case: Case, formula: Formula, period: RatePeriod, zone: ZoneInfo) -> Verdict:
    """Whether the ticket counts and why, in words."""
    counted = counted_call_backs(case, formula, period)
    if not counted:
        return Verdict(case, (), (), _why_not(case, formula, period))
    told = "；".join(_told(call_back, formula, zone) for call_back in counted)
    others = sum(is_valid(item, formula, period) for item in case.call_backs) - len(counted)
    earlier = f"（此前 {others} 次有效回访由最后一次代替）" if others else ""
    if case.excluded:
        return Verdict(
            case,
            counted,
            (WITH,),
            f"剔除后不计：{case.excluded}；含剔除时计入 {told}{earlier}",
        )
    appeal = "；申诉中，裁定前照常计入" if case.under_appeal else ""
    return Verdict(case, counted, (WITHOUT, WITH), f"计入：{told}{earlier}{appeal}")


def shown_number(value: Fraction | None, decimals: int) -> int | None:
    """A figure of 0 or more as it is shown, times ten to the decimals; half up."""
    return None if value is None else int(value * 10**decimals + Fraction(1, 2))


def shown(value: Fraction | None, decimals: int) -> str:
    """A figure as it is shown: 95.20; a dash where there is none."""
    number = shown_number(value, decimals)
    if number is None:
        return "—"
    whole, part = divmod(number, 10**decimals)
    return f"{whole}.{part:0{decimals}}" if decimals else str(whole)


def percent(value: Fraction | None, decimals: int) -> str:
    """A rate as people read it: 95.20%."""
    return "—" if value is None else f"{shown(100 * value, decimals)}%"


def _told(call_back: CallBack, formula: Formula, zone: ZoneInfo) -> str:
    answers = []
    for question in QUESTIONS:
        code = call_back.answer(question)
        share = formula.share(question, code)
        told = ANSWER_LABELS[question].get(code, code)
        answers.append(told if share in (0, 1) else f"{told}（按 {float(share):g} 计）")
    at = call_back.at.astimezone(zone)
    return f"第 {call_back.pass_number} 次办理后 {at:%m-%d %H:%M} 回访，{'、'.join(answers)}"


def _why_not(case: Case, formula: Formula, period: RatePeriod) -> str:
    if not case.call_backs:
        return "不计：没有回访"
    within = [item for item in case.call_backs if item.at in period]
    if not within:
        return "不计：回访不在本统计周期内"
    last = max(within, key=lambda item: item.at)
    if not any(last.answer(question) for question in QUESTIONS):
        return "不计：回访未成功（未接通或未作答）"
    missing = [QUESTION_LABELS[item] for item in formula.valid if last.answer(item) not in formula.answers[item]]
    return f"不计：回访没有答全，缺{'、'.join(missing)}"
