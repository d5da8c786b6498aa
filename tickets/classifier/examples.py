"""What a classifier learns from: rows of a CSV with text and label, each fault named by its line. Pure."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotline.errors import InvalidInputError
from tickets.classifier.features import Text, normal

COLUMNS = {
    "text": ("text", "content", "body", "正文", "内容", "文本", "诉求内容", "留言详情"),
    "title": ("title", "subject", "标题", "主题", "留言主题"),
    "label": ("label", "category", "标签", "分类", "类别", "一级标签"),
}
MAX_LABEL = 100
MAX_LABELS = 500
MAX_FIELD = 1_000_000  # characters; longer than any letter
FEWEST = 5  # examples of a label: one for each fold of the cross-validation
SEPARATOR = "/"


@dataclass(frozen=True)
class Example:
    """A text and its label, `first` or `first/second`. `template`: made, not met; learnt from and never tested on."""

    text: Text
    label: str
    template: bool = False


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row, and where."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"第 {self.line} 行：{self.message}"


def parse_examples(text: str, *, limit: int) -> tuple[tuple[Example, ...], tuple[Fault, ...]]:
    """The rows of a CSV or TSV text that have a label, and the faults of the others.

    Raises `InvalidInputError` where the header lacks a column, or there are more rows than `limit`.
    """
    examples, faults = [], []
    for line, row in _rows(text, ("text", "label"), limit):
        label = SEPARATOR.join(part.strip() for part in row["label"].split(SEPARATOR))
        fault = _fault(row["text"] + row["title"], label)
        if fault:
            faults.append(Fault(line, fault))
        else:
            examples.append(Example(Text(row["text"], row["title"]), label))
    return tuple(examples), tuple(faults)


def parse_texts(text: str, *, limit: int) -> tuple[Text, ...]:
    """The texts of a CSV or TSV text, whose label, if any, is not read; empty ones are left out."""
    texts = (Text(row["text"], row["title"]) for _, row in _rows(text, ("text",), limit))
    return tuple(one for one in texts if one.body.strip() or one.title.strip())


def without_repeats(examples: Iterable[Example]) -> tuple[tuple[Example, ...], int]:
    """The examples with each text once, and how many were left out. Of a text with several labels the most frequent
    counts, then the first: the same letter in two folds would make a model look better than it is."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(normal(example.text.body) or normal(example.text.title), []).append(example)
    kept = tuple(_most_frequent(group) for group in groups.values())
    return kept, sum(map(len, groups.values())) - len(kept)


def check_enough(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """The examples of labels that have enough of them, and the labels that have not.

    Raises `InvalidInputError` where fewer than two labels are left.
    """
    counts = Counter(example.label for example in examples)
    few = tuple(sorted(label for label, count in counts.items() if count < FEWEST))
    kept = tuple(example for example in examples if example.label not in few)
    left = len(counts) - len(few)
    if left < 2:
        raise InvalidInputError(
            f"至少要两个类别各有 {FEWEST} 条文本，现在有 {left} 个",
            hint="补充带类别的文本；还没有时用 --from taxonomy",
        )
    if left > MAX_LABELS:
        raise InvalidInputError(f"有 {left} 个类别，最多 {MAX_LABELS}", hint="检查类别一栏是否放错了内容")
    return kept, few


def _most_frequent(group: list[Example]) -> Example:
    label = Counter(example.label for example in group).most_common(1)[0][0]
    return next(example for example in group if example.label == label)


def _fault(text: str, label: str) -> str:
    if not text.strip():
        return "没有文本"
    if not label.replace(SEPARATOR, ""):
        return "没有类别"
    if len(label) > MAX_LABEL:
        return f"类别超过 {MAX_LABEL} 个字"
    parts = label.split(SEPARATOR)
    if len(parts) > 2 or not all(parts):
        return f"类别 {label!r} 应写作“一级”或“一级/二级”"
    return ""


def _rows(text: str, needed: tuple[str, ...], limit: int) -> Iterable[tuple[int, dict[str, str]]]:
    """Line and named fields of each row."""
    first = text.partition("\n")[0]
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first and "," not in first else ",")
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        places = {
            column: next((header.index(name) for name in names if name in header), -1)
            for column, names in COLUMNS.items()
        }
        for column in needed:
            if places[column] < 0:
                raise InvalidInputError(
                    f"第 1 行没有 {column} 一栏：{'、'.join(header)[:200] or '空'}",
                    hint=f"表头可写作 {' | '.join(COLUMNS[column])}",
                )
        for number, row in enumerate(reader, start=1):
            if number > limit:
                raise InvalidInputError(f"超过 {limit} 行", hint="分成几个文件，或提高 tickets.classifier_max_rows")
            if any(field.strip() for field in row):
                yield (
                    reader.line_num,
                    {name: row[place] if 0 <= place < len(row) else "" for name, place in places.items()},
                )
    except csv.Error as error:
        raise InvalidInputError(f"第 {reader.line_num} 行不是合格的 CSV：{error}") from error
