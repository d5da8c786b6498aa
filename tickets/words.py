"""What a search by text looks in, as the databases' own indexes hold it. Pure.

A ticket is found by any part of what is written in it, be it one character. Its text is indexed as the pairs of
neighbouring characters that `asr.query.grams` makes, each once and without its place: the index finds every ticket that
has all pairs of what is looked for, and the rows themselves are then compared.
"""

from collections.abc import Iterable

from asr.query import fold, grams

WRITTEN = ("title", "content", "place", "address", "caller_name")
"""The columns of a ticket that are looked in."""


def document(texts: Iterable[str | None], dialect: str) -> str:
    """What the index holds of a ticket with these texts."""
    pairs = dict.fromkeys(pair for text in texts for pair in grams(fold(text or "").text))
    return " ".join(map(_quoted, pairs) if dialect == "postgresql" else pairs)


def match(text: str, dialect: str) -> str:
    """What to ask the index for: all pairs of `text`; empty where it has neither letter nor digit."""
    folded = fold(text).text
    if len(folded) < 2:
        beginning = f"'{folded}':*" if dialect == "postgresql" else f'"{folded}"*'
        return beginning if folded else ""
    pairs = dict.fromkeys(grams(folded)[:-1])
    if dialect == "postgresql":
        return " & ".join(map(_quoted, pairs))
    return " AND ".join(f'"{pair}"' for pair in pairs)


def _quoted(pair: str) -> str:
    return f"'{pair}'"
