"""Policy snippets that a person reads while a caller waits: what they are, tables of them, and which fit a text. Pure.

Suggested by Okapi BM25 over pairs of characters: what a snippet shares with the text counts the more the fewer snippets
have it; its title and tags count twice. Only those valid on the day are suggested, with the words that matched.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from hotline.errors import InvalidInputError
from tickets.datafile import Table, load_data_file
from tickets.places import Fault
from tickets.sheets import Column, Record, Sheet
from tickets.wording import common_pieces, plain

COLUMNS = (
    Column("code", ("编号", "代码"), required=True),
    Column("title", ("标题", "名称"), required=True),
    Column("body", ("内容", "正文", "答复口径"), required=True),
    Column("category", ("类别", "分类")),
    Column("unit", ("责任单位", "单位代码", "单位")),
    Column("source", ("依据", "来源")),
    Column("tags", ("标签", "关键词")),
    Column("valid_from", ("生效日期", "生效")),
    Column("valid_to", ("失效日期", "失效", "有效期至")),
)
_LIMITS = {"code": 32, "title": 100, "body": 5_000, "category": 64, "unit": 32, "source": 300}
_CODE = re.compile(r"[\w.-]+")
_K1, _B = 1.2, 0.6  # how soon a repeated word adds nothing; how much long snippets are held back
_ENOUGH = 0.15  # of the score that a snippet's own title would reach


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """What is answered to a question. `code` names it through all versions; no date: without a limit on that side."""

    code: str
    title: str
    body: str
    category: str = ""
    unit: str = ""
    source: str = ""
    tags: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None

    def valid_on(self, day: date) -> bool:
        """Whether it holds on that day."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True)
class Suggestion:
    """A snippet that fits, how well (above 0), and the words of the text that say so."""

    snippet: Snippet
    score: float
    words: tuple[str, ...]


@dataclass(frozen=True)
class SnippetList:
    """The snippets of a table, and what is wrong with it."""

    snippets: tuple[Snippet, ...]
    faults: tuple[Fault, ...]


@dataclass
class KnowledgeIndex:
    """Snippets made ready for many texts: building it costs far more than asking it."""

    snippets: Sequence[Snippet]
    _texts: list[str] = field(init=False)
    _counts: list[Counter[str]] = field(init=False)
    _rarity: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self._texts = [plain("\n".join((each.title, *each.tags, each.body))) for each in self.snippets]
        heads = [plain("\n".join((each.title, *each.tags))) for each in self.snippets]
        self._counts = [_count(text) + _count(head) for text, head in zip(self._texts, heads, strict=True)]
        holding = Counter(gram for counts in self._counts for gram in counts)
        total = len(self.snippets)
        self._rarity = {gram: math.log(1 + (total - n + 0.5) / (n + 0.5)) for gram, n in holding.items()}
        self._mean = sum(counts.total() for counts in self._counts) / max(1, total)
        self._own = [self._score(set(_count(head)), at) for at, head in enumerate(heads)]

    def suggest(self, text: str, *, day: date, category: str = "", most: int = 3) -> list[Suggestion]:
        """The snippets valid on `day` that fit `text` best; one of the same category goes before an equal one."""
        asked_text = plain(text)
        asked = set(_count(asked_text))
        found = []
        for at, snippet in enumerate(self.snippets):
            score = self._score(asked, at) if snippet.valid_on(day) else 0.0
            if score < _ENOUGH * self._own[at] or score <= 0:
                continue
            if category and snippet.category:
                score *= 1.5 if snippet.category == category else 1.2 if _related(snippet.category, category) else 1.0
            words = common_pieces(asked_text, self._texts[at], shortest=2, most=5)
            found.append(Suggestion(snippet, round(score, 3), tuple(words)))
        found.sort(key=lambda each: (-each.score, each.snippet.code))
        return found[:most]

    def _score(self, asked: set[str], at: int) -> float:
        counts = self._counts[at]
        held_back = _K1 * (1 - _B + _B * counts.total() / max(1.0, self._mean))
        return sum(
            self._rarity[gram] * counts[gram] * (_K1 + 1) / (counts[gram] + held_back) for gram in asked & counts.keys()
        )


def parse_snippets(sheet: Sheet) -> SnippetList:
    """The snippets of a table; every line that is wrong is told."""
    return _checked(((record.line, _of_record(record)) for record in sheet.records), sheet.faults)


class _Item(Table):
    code: str
    title: str
    body: str
    category: str = ""
    unit: str = ""
    source: str = ""
    tags: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None


class _File(Table):
    version: int
    snippets: tuple[_Item, ...]


def load_snippets(path: Path) -> SnippetList:
    """The snippets of a YAML file; raises `ConfigurationError` naming file, line and key where its form is wrong."""
    items = load_data_file(path, _File).snippets
    return _checked(((number, item.model_dump()) for number, item in enumerate(items, 1)), ())


def _checked(rows: Iterable[tuple[int, Mapping[str, Any]]], earlier: Sequence[Fault]) -> SnippetList:
    found: dict[str, Snippet] = {}
    faults = list(earlier)
    for line, fields in rows:
        try:
            snippet = _snippet(fields)
            if snippet.code in found:
                raise InvalidInputError(f"编号 {snippet.code} 出现多次")
            found[snippet.code] = snippet
        except InvalidInputError as error:
            faults.append(Fault(line, error.message))
    return SnippetList(tuple(found.values()), tuple(sorted(faults, key=lambda fault: fault.line)))


def _snippet(fields: Mapping[str, Any]) -> Snippet:
    names = {column.key: column.names[0] for column in COLUMNS}
    for key, limit in _LIMITS.items():
        if len(fields[key]) > limit:
            raise InvalidInputError(f"{names[key]}有 {len(fields[key])} 字，最多 {limit}")
    for key in ("code", "title", "body"):
        if not fields[key].strip():
            raise InvalidInputError(f"{names[key]}是空的")
    if not _CODE.fullmatch(fields["code"].strip()):
        raise InvalidInputError("编号只能有字母、数字、汉字、点、横线和下划线")
    values: dict[str, Any] = {key: value.strip() if isinstance(value, str) else value for key, value in fields.items()}
    for key in ("valid_from", "valid_to"):
        if isinstance(values[key], str):
            values[key] = _day(values[key], names[key])
    if isinstance(values["tags"], str):
        values["tags"] = tuple(tag for tag in values["tags"].replace("，", "、").replace(",", "、").split("、") if tag)
    snippet = Snippet(**values)
    if snippet.valid_from and snippet.valid_to and snippet.valid_to < snippet.valid_from:
        raise InvalidInputError(f"失效日期 {snippet.valid_to} 早于生效日期 {snippet.valid_from}")
    return snippet


def _of_record(record: Record) -> dict[str, Any]:
    return {column.key: record[column.key] for column in COLUMNS}


def _day(text: str, name: str) -> date | None:
    if not text:
        return None
    try:
        year, month, day = map(int, text[:10].replace("/", "-").replace(".", "-").split("-"))
        return date(year, month, day)
    except ValueError:
        raise InvalidInputError(f"{name}“{text[:20]}”不是日期，例如 2026-01-05") from None


def _count(text: str) -> Counter[str]:
    return Counter(piece[at : at + 2] for piece in text.split("\n") for at in range(len(piece) - 1))


def _related(one: str, other: str) -> bool:
    return one.partition("/")[0] == other.partition("/")[0]
