"""What people type into a search, and where it stands in a text. Pure.

Texts and queries are compared folded: full-width is half-width, capitals are small, and marks and blanks, which are the
machine's and not the speaker's, do not count. A search is for parts of the text, so it needs no idea of words:
`8000` is the tail of a telephone number and 路灯 a part of 路灯坏了.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from asr.figures import written
from asr.masking import HIDDEN
from hotline.errors import InvalidInputError

GAP = "\ue000"  # stands for a hidden digit; of no query, since it is neither letter nor digit
MIN_NUMBER = 4  # so many digits in a row look for somebody's number
_QUOTES = str.maketrans("“”„‟「」『』＂", '"' * 9)
_MINUS = "-－−"
_PART = re.compile(rf'(?P<minus>[{_MINUS}]?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_NUMBER = re.compile(rf"[0-9]{{{MIN_NUMBER}}}")


@dataclass(frozen=True)
class Folded:
    """`text` as it is compared; character i of it came from character `at[i]` of the original."""

    text: str
    at: tuple[int, ...]


def fold(text: str) -> Folded:
    """Letters, digits and hidden digits of `text`, in one form."""
    kept: list[tuple[str, int]] = []
    for position, character in enumerate(text):
        if character == HIDDEN:
            kept.append((GAP, position))
        else:
            plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
            kept += [(each, position) for each in plain if each.isalnum()]
    return Folded("".join(each for each, _ in kept), tuple(position for _, position in kept))


def grams(folded: str) -> list[str]:
    """Every pair of neighbours, and the last character: each character begins exactly one.

    >>> grams("路灯坏")
    ['路灯', '灯坏', '坏']
    """
    return [folded[at : at + 2] for at in range(len(folded))]


@dataclass(frozen=True)
class Term:
    """What must stand somewhere in one of its forms: as typed, or with figures for its spoken numbers (幺三八: 138)."""

    forms: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        """Whether it looks for somebody's number."""
        return any(_NUMBER.search(form) for form in self.forms)


@dataclass(frozen=True)
class SearchQuery:
    """All of `terms` and none of `without`."""

    terms: tuple[Term, ...]
    without: tuple[Term, ...] = ()

    @cached_property
    def is_number(self) -> bool:
        """Whether any part of it looks for somebody's number."""
        return any(term.is_number for term in (*self.terms, *self.without))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the terms stand in `text`, in order, those that touch made one."""
        folded = fold(text)
        found = sorted(
            (folded.at[start], folded.at[start + len(form) - 1] + 1)
            for term in self.terms
            for form in term.forms
            for start in _places(folded.text, form)
        )
        joined: list[tuple[int, int]] = []
        for start, end in found:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined


def parse_query(text: str, *, max_length: int, max_terms: int) -> SearchQuery | None:
    """Words (all of them), "an exact phrase", -without; None where nothing is asked for. Raises `InvalidInputError`.

    >>> parse_query('永宁镇 "路灯 坏了" -施工', max_length=100, max_terms=8).without
    (Term(forms=('施工',)),)
    """
    if len(text) > max_length:
        raise InvalidInputError(f"搜索内容最多 {max_length} 个字")
    terms: dict[Term, None] = {}
    without: dict[Term, None] = {}
    for part in _PART.finditer(text.translate(_QUOTES)):
        term = _term(part["phrase"] if part["word"] is None else part["word"])
        if term is not None:
            (without if part["minus"] else terms)[term] = None
    if len(terms) + len(without) > max_terms:
        raise InvalidInputError(f"一次最多搜索 {max_terms} 个词")
    if not terms:
        if without:
            raise InvalidInputError("请至少给出一个要找的词", hint="减号只能排除：路灯 -施工")
        return None
    for term in (*terms, *without):
        if any(len(form) == 1 and form.isascii() for form in term.forms):
            raise InvalidInputError("单个字母或数字太短", hint="请多给一个字")
    return SearchQuery(tuple(terms), tuple(without))


def _term(text: str) -> Term | None:
    forms = dict.fromkeys(fold(form).text.replace(GAP, "") for form in (text, written(text)))
    return Term(tuple(forms)) if all(forms) else None


def _places(text: str, form: str) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + 1)
