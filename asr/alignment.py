"""Word times after a person changed the text: words that stay keep their times, new ones get theirs from where they
stand. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from asr.recognizer import Word
from asr.text import aligned

MS_PER_CHARACTER = 220  # about how fast people speak on the telephone, for words that nothing gives a time
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[A-Za-z]+|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """`text[start:end]`: a character, a number or a Latin word."""

    text: str
    start: int
    end: int

    @property
    def spoken(self) -> bool:
        """Whether it is said: marks and blanks are not."""
        return any(character.isalnum() for character in self.text)


def tokens(text: str) -> list[Token]:
    """What a text is made of; a number stays whole, because one digit more makes it another."""
    return [Token(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(text)]


def realign(
    before: str, words: Sequence[Word], after: str, *, earliest_ms: int = 0, latest_ms: int | None = None
) -> tuple[Word, ...]:
    """The words of `after`, a changed `before` whose words are `words`.

    A word of which nothing changed stays as it is, raw and with its times; new ones (confidence 1: a person wrote them)
    share the time of those they replace, else the gap they stand in; at either end they may reach into the silence, but
    not past `earliest_ms` and `latest_ms`. Raises `ValueError` where nothing is spoken in `after`.
    """
    old, new = tokens(before), tokens(after)
    if not any(token.spoken for token in new):
        raise ValueError("a text in which nothing is spoken")
    if not words:
        return spread([token.text for token in new if token.spoken], earliest_ms, _end(earliest_ms, new, latest_ms))
    owners = _owners(before, words, old)
    matched = _matched(old, new)
    kept = _kept(owners, matched, old, new, len(words))
    clean = {matched[at]: owners[at] for at in matched if owners[at] and owners[at] <= kept}
    shown = set().union(*owners.values())
    return _assemble(words, kept, shown, clean, new, earliest_ms, latest_ms)


def spread(texts: Sequence[str], start_ms: int, end_ms: int) -> tuple[Word, ...]:
    """`texts` one after another between two moments, each as long as it has characters."""
    total = sum(len(text) for text in texts)
    result, at = [], 0
    for text in texts:
        begin = start_ms + (end_ms - start_ms) * at // total
        at += len(text)
        result.append(Word(text, begin, start_ms + (end_ms - start_ms) * at // total, 1.0))
    return tuple(result)


def _owners(text: str, words: Sequence[Word], old: Sequence[Token]) -> dict[int, set[int]]:
    """Place of a spoken token -> the words it came from."""
    word_of = aligned(text, words).word_of
    return {at: set(word_of[token.start : token.end]) if token.spoken else set() for at, token in enumerate(old)}


def _matched(old: Sequence[Token], new: Sequence[Token]) -> dict[int, int]:
    """Places of spoken tokens that both texts have: old -> new."""
    spoken_old = [at for at, token in enumerate(old) if token.spoken]
    spoken_new = [at for at, token in enumerate(new) if token.spoken]
    matcher = SequenceMatcher(None, [old[at].text for at in spoken_old], [new[at].text for at in spoken_new], False)
    return {
        spoken_old[block.a + step]: spoken_new[block.b + step]
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    }


def _kept(
    owners: dict[int, set[int]], matched: dict[int, int], old: Sequence[Token], new: Sequence[Token], count: int
) -> set[int]:
    """The words of which every token stands in the new text, with nothing new between them."""
    of_word: dict[int, list[int]] = {}
    for at, owned in owners.items():
        for word in owned:
            of_word.setdefault(word, []).append(at)
    kept = set(of_word)
    for word, places in of_word.items():
        if not all(at in matched for at in places):
            kept.discard(word)
            continue
        inside = range(matched[min(places)], matched[max(places)] + 1)
        if sum(new[at].spoken for at in inside) != len(places):
            kept.discard(word)
    while True:  # a number of several words is theirs together: one gone, all gone
        lost = {word for word in kept if any(not owners[at] <= kept for at in of_word[word])}
        if not lost:
            break
        kept -= lost
    # words that the text does not show (fillers) stay beside one that stays
    shown = sorted(of_word)
    for word in set(range(count)) - set(shown):
        before = max((each for each in shown if each < word), default=None)
        after = min((each for each in shown if each > word), default=None)
        if before in kept or after in kept:
            kept.add(word)
    return kept


def _assemble(
    words: Sequence[Word],
    kept: set[int],
    shown: set[int],
    clean: dict[int, set[int]],
    new: Sequence[Token],
    earliest_ms: int,
    latest_ms: int | None,
) -> tuple[Word, ...]:
    """The kept words in their order, and the new ones where they stand between them."""
    result: list[Word] = []
    waiting: list[Token] = []
    at = 0  # the first word that is not yet placed

    def place(until: int) -> None:
        """Puts the new words before the word `until`, and the kept ones that the text does not show."""
        nonlocal at
        gone = [index for index in range(at, until) if index not in kept]
        hidden = [index for index in range(at, until) if index in kept]
        if not waiting:
            result.extend(words[index] for index in hidden)
        else:
            lead = [index for index in hidden if not gone or index < gone[0]]
            tail = [index for index in hidden if gone and index > gone[-1]]
            result.extend(words[index] for index in lead)
            if gone:
                span = words[gone[0]].start_ms, max(words[index].end_ms for index in gone)
            else:
                span = _gap(result, words[until] if until < len(words) else None, waiting, earliest_ms, latest_ms)
            result.extend(spread([token.text for token in waiting], *span))
            result.extend(words[index] for index in tail)
            waiting.clear()
        at = max(at, until)

    for position, token in enumerate(new):
        if not token.spoken:
            continue
        if position not in clean:
            waiting.append(token)
            continue
        owned = sorted(clean[position])
        if owned[-1] < at:  # the next character of a word that is placed
            continue
        place(max(at, owned[0]))
        result.extend(words[index] for index in range(at, owned[-1] + 1) if index in kept)
        at = owned[-1] + 1
    place(len(words))
    return tuple(result)


def _gap(
    before: Sequence[Word], after: Word | None, waiting: Sequence[Token], earliest_ms: int, latest_ms: int | None
) -> tuple[int, int]:
    """Between two words, or at either end as long as it takes to say it."""
    if before and after:
        return min(before[-1].end_ms, after.start_ms), after.start_ms
    if before:
        begin = before[-1].end_ms
        return begin, _end(begin, waiting, latest_ms)
    assert after is not None
    length = MS_PER_CHARACTER * sum(len(token.text) for token in waiting)
    return min(after.start_ms, max(earliest_ms, after.start_ms - length, 0)), after.start_ms


def _end(begin: int, said: Sequence[Token], latest_ms: int | None) -> int:
    end = begin + MS_PER_CHARACTER * sum(len(token.text) for token in said if token.spoken)
    return end if latest_ms is None else max(begin, min(end, latest_ms))
