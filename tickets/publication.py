"""Figures with their inputs, so that they can be reckoned again years later. Pure.

A snapshot is one canonical JSON text: the same tickets give the same bytes. It names tickets by number and holds
answers, units and reasons, never callers. Exact figures are fractions as text (`19/40`).
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from hotline.errors import DamagedError
from tickets.formulas import QUESTIONS, Formula, RatePeriod
from tickets.rates import VARIANTS, CallBack, Case, Line, Rates, tables

FORMAT = 1
MAX_UNPACKED = 2 << 30
"""Bytes of a snapshot, unpacked: over a million tickets are 300 MB."""


@dataclass(frozen=True)
class Snapshot:
    """What a publication was reckoned from."""

    formula: Formula
    period: RatePeriod
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Difference:
    """Where what was published is not what its inputs give. `path`: variant, table, key and figure."""

    path: str
    published: str
    reckoned: str


def inputs_text(period: RatePeriod, cases: Iterable[Case]) -> str:
    """The inputs in canonical form: by number, names of members in order."""
    return _canonical(
        {
            "format": FORMAT,
            "period": {"name": period.name, "begin": _stamp(period.begin), "end": _stamp(period.end)},
            "cases": [_case_data(case) for case in sorted(cases, key=lambda case: case.number)],
        }
    )


def pack(text: str) -> bytes:
    """The inputs as they are stored."""
    return zlib.compress(text.encode(), 9)


def digest(formula_text: str, text: str) -> str:
    """SHA-256 over the formula and the inputs, in hexadecimal."""
    return hashlib.sha256(f"{formula_text}\n{text}".encode()).hexdigest()


def unpack(formula_text: str, packed: bytes, sha256: str) -> Snapshot:
    """The inverse of `inputs_text` and `pack`; raises `DamagedError` where they are not what was stored."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_UNPACKED).decode()
        if not unpacker.eof:
            raise DamagedError("发布数据的原始输入不完整")
    except (zlib.error, UnicodeDecodeError) as error:
        raise DamagedError("发布数据的原始输入已损坏", hint="从备份恢复数据库") from error
    if digest(formula_text, text) != sha256:
        raise DamagedError("发布数据的原始输入或口径已被改动：SHA-256 不符", hint="从备份恢复数据库")
    data = json.loads(text)
    if data["format"] != FORMAT:
        raise DamagedError(f"不认识的数据格式 {data['format']}", hint="请升级软件")
    span = data["period"]
    period = RatePeriod(span["name"], datetime.fromisoformat(span["begin"]), datetime.fromisoformat(span["end"]))
    return Snapshot(Formula.of_text(formula_text), period, tuple(_case_of(item) for item in data["cases"]))


def outputs_of(cases: Sequence[Case], formula: Formula, period: RatePeriod) -> dict[str, Any]:
    """Every figure of a period as plain JSON: variant -> table -> lines."""
    return {
        variant: {
            name: [_line_data(line, formula) for line in lines]
            for name, lines in tables(cases, formula, period, variant=variant).items()
        }
        for variant in VARIANTS
    }


def outputs_text(outputs: Mapping[str, Any]) -> str:
    """The figures in canonical form."""
    return _canonical(outputs)


def compare(published: Mapping[str, Any], reckoned: Mapping[str, Any]) -> list[Difference]:
    """Where two results differ, in order; empty where they are equal."""
    before, after = dict(_leaves("", published)), dict(_leaves("", reckoned))
    return [
        Difference(path, before.get(path, "（无）"), after.get(path, "（无）"))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _leaves(path: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(f"{path}/{name}" if path else name, part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(f"{path}/{part.get('key') or index}" if isinstance(part, Mapping) else path, part)
    else:
        yield path, "" if value is None else str(value)


def _line_data(line: Line, formula: Formula) -> dict[str, Any]:
    rates = line.rates
    return {
        "key": line.key,
        "name": line.name,
        "place": line.place,
        "tickets": rates.tickets,
        "valid": rates.valid,
        **{question: _fraction(rates.rate(question)) for question in QUESTIONS},
        "score": _fraction(rates.score(formula)),
        "answers": {
            f"{question}.{answer or '-'}": count for (question, answer), count in sorted(rates.answers.items())
        },
    }


def line_of(data: Mapping[str, Any]) -> Line:
    """The line that `outputs_of` wrote; sums follow from the rates."""
    sums = {question: Fraction(data[question] or 0) * data["valid"] for question in QUESTIONS}
    answers = {}
    for name, count in data["answers"].items():
        question, _, answer = name.partition(".")
        answers[question, "" if answer == "-" else answer] = count
    return Line(data["key"], data["name"], Rates(data["tickets"], data["valid"], sums, answers), data["place"])


def _fraction(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _case_data(case: Case) -> dict[str, Any]:
    data = {item.name: value for item in fields(case) if (value := getattr(case, item.name)) not in ("", False, ())}
    if case.call_backs:
        data["call_backs"] = [
            {"at": _stamp(item.at), "pass": item.pass_number}
            | {question: item.answer(question) for question in QUESTIONS if item.answer(question)}
            for item in sorted(case.call_backs, key=lambda item: (item.at, item.pass_number))
        ]
    return data


def _case_of(data: Mapping[str, Any]) -> Case:
    call_backs = tuple(
        CallBack(datetime.fromisoformat(item["at"]), item["pass"], *(item.get(question, "") for question in QUESTIONS))
        for item in data.get("call_backs", ())
    )
    return Case(**{**data, "call_backs": call_backs})


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
