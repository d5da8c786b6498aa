"""Digits as people tell them: in groups, with pauses, said again, put right. Pure.

A telling is cut into parts: digits, 不对 and more digits, 不是三是四, 最后一位是零, 再说一遍. `resolve` plays the parts
through and gives the numbers that fit, a predicate of the kind of number that is looked for: where nobody says how many
digits a correction replaces, the length of a whole number tells.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from asr.figures import SPOKEN_DIGITS
from tickets.speech import BREAK

MAX_DIGITS = 40  # longer runs are nobody's number
MAX_HYPOTHESES = 60
LOOK_AHEAD = 14  # characters between a number and the words that put it right
MAX_LOOSE = 3
MIN_SAID_AGAIN = 3  # digits of a group that is taken as said twice
GUESSED = 0.7  # what a number counts that is whole only with a guess

_HARD = (
    SPOKEN_DIGITS
    | {digit: digit for digit in "0123456789"}
    | dict(zip("０１２３４５６７８９", "0123456789", strict=True))
)
# What recognizers write for a digit among digits.
_SOFT = {
    character: digit
    for digit, characters in zip(
        "0123456789",
        (
            "领灵另林凌令陵",
            "要妖腰邀以衣依医",
            "儿而耳",
            "山散伞",
            "思死司",
            "无武午舞",
            "流留刘溜",
            "期起气妻",
            "吧把爸巴",
            "就酒久救",
        ),
        strict=True,
    )
    for character in characters
}
_D = f"[{''.join(_HARD)}]"
_LETTER = "[A-Za-z]"
_LINK_WORDS = "那个|就是|然后|我的|号码|一遍|应该|这个|也就是|是的|对的|没错"
_LINK = re.compile(rf"(?:[\s，。、,.？?！!\-－—嗯啊呃额哦噢诶哎对好是吧的呢]|{_LINK_WORDS})")
_RUN = rf"{_D}(?:[\s，、]?{_D})*"
_COUNT = "[一二两三四五六七八]"
_SWAP = re.compile(
    rf"(?:不是|不是说)(?P<x>{_RUN})[，。、\s啊呀]*(?:而|应该)?是(?P<y>{_RUN})|"
    rf"(?:应该)?是(?P<y2>{_D}{{1,4}}+)[，、\s]*不是(?P<x2>{_D}{{1,4}}+)"
)
_NOT = re.compile(rf"[，\s]*不是(?P<x>{_RUN})(?![，。\s啊]*是{_D})")
_CARE = rf"(?:[，。、\s啊]|我?(?:刚才)?(?:说|报|念)?错了|不对|(?:个|位)?(?:数字?|号码?)|不是{_RUN}|应该|改成|要改成)*"
_PLACE = re.compile(
    rf"(?:(?P<tail>最后面?|末尾|末|尾号|后面?)(?:的?(?:那?{_COUNT}|那)?(?:个|位))?|"
    rf"(?P<head>最?前面?|开头)(?:的?(?:那?{_COUNT}|那)?(?:个|位))?|"
    rf"(?P<middle>中间)(?:的?(?:那?{_COUNT}|那)?(?:个|位))?|第(?P<nth>十?[一二三四五六七八九]|十)(?:个|位))"
    rf"{_CARE}(?:是|为)?(?P<d>{_RUN})"
)
_FIX = re.compile(
    r"(?:不对|错了|不是|不不|啊不|哦不|等一下|等等|更正|更正一下|纠正一下|我?(?:刚才)?(?:说|报|念|记)错了?|"
    r"改一下|重来|重新说|应该是)+"
)
_AGAIN = re.compile(
    r"(?:我?(?:再|重新)(?:给您?你?)?(?:说|报|念|重复)(?:一)?(?:遍|次|下)|重复一?(?:遍|次|下)?|一共(?:就)?是|"
    r"连起来(?:就)?是|完整的(?:就)?是)"
)
_LABEL = re.compile(r"(?:手机|电话|座机|固话|固定电话|联系方式|身份证)(?:号码?)?(?:是|为)?")
_UNITS = re.compile(r"[号楼栋单元室层块元个年月点路户岁次天度毛人米幢组队]|分钟|多|余|几")
_NTH = {numeral: index for index, numeral in enumerate("一二三四五六七八九十")}


class Kind(Enum):
    """What a part does to what was told before."""

    MORE = auto()
    FIX = auto()
    SWAP = auto()
    TAIL = auto()
    HEAD = auto()
    MIDDLE = auto()
    NTH = auto()
    AGAIN = auto()
    NEXT = auto()  # another number begins
    BREAK = auto()  # an utterance ends


@dataclass(frozen=True)
class Part:
    """`digits` at `start:end`; `?` before a digit that is read from a homophone. `wrong`: what a swap replaces;
    `loose`: how many of the last digits may belong to what follows (三号楼)."""

    kind: Kind
    digits: str
    start: int
    end: int
    wrong: str = ""
    nth: int = 0
    loose: int = 0


@dataclass(frozen=True)
class Told:
    """A number at `start:end`. `said`: how often; `corrected`: by the speaker; `guessed`: not exactly as heard."""

    digits: str
    start: int
    end: int
    said: int = 1
    corrected: bool = False
    guessed: bool = False

    @property
    def confidence(self) -> float:
        """By how it was told."""
        base = 0.97 if self.said > 1 else 0.85 if self.corrected else 0.9
        return round(base * (GUESSED if self.guessed else 1.0), 2)


Fits = Callable[[str], bool]


def tellings(text: str, *, letters: bool = False) -> Iterator[tuple[Part, ...]]:
    """The tellings in `text`; with `letters` also those of codes that have some."""
    at = 0
    first = re.compile(rf"{_D}|{_LETTER}" if letters else _D)
    while (begin := first.search(text, at)) is not None:
        parts, at = _parts(text, begin.start(), letters=letters)
        if parts:
            yield parts


def correction(text: str, start: int) -> tuple[Part, ...]:
    """The telling that begins with what puts a number right that somebody else said, at `start` or soon after it."""
    for found in (_SWAP, _PLACE, _FIX):
        match = found.search(text, start, start + LOOK_AHEAD + 20)
        if match is not None and not re.search(_D, text[start : match.start()]):
            return _parts(text, match.start(), letters=False)[0]
    return ()


def resolve(parts: Sequence[Part], fits: Fits, *, before: str = "") -> list[Told]:
    """The whole numbers of a telling, in order; `before`: what was told already, by another."""
    return _Reading(fits, before).play(parts)


def _parts(text: str, at: int, *, letters: bool) -> tuple[tuple[Part, ...], int]:
    """The parts from `at` on, and where to look for the next telling."""
    parts: list[Part] = []
    pending: Kind | None = None
    digit = re.compile(rf"{_D}|{_LETTER}" if letters else _D)
    end = at
    while at < len(text):
        if match := _SWAP.match(text, at):
            wrong, right = match["x"] or match["x2"], match["y"] or match["y2"]
            parts.append(Part(Kind.SWAP, _read(right), at, match.end(), wrong=_read(wrong)))
            at = end = match.end()
            pending = None
        elif (match := _PLACE.match(text, at)) and not _unit_follows(text, match.end(), match["d"]):
            kind = (
                Kind.TAIL
                if match["tail"]
                else Kind.HEAD
                if match["head"]
                else Kind.MIDDLE
                if match["middle"]
                else Kind.NTH
            )
            parts.append(Part(kind, _read(match["d"]), at, match.end(), nth=_nth(match["nth"])))
            at = end = match.end()
            pending = None
        elif parts and (match := _NOT.match(text, at)) and parts[-1].kind is not Kind.MORE:
            at = match.end()
        elif match := _AGAIN.match(text, at):
            pending, at = Kind.AGAIN, match.end()
        elif match := _FIX.match(text, at):
            pending, at = Kind.FIX, match.end()
        elif parts and (match := _LABEL.match(text, at)):
            pending, at = pending or Kind.NEXT, match.end()
        elif digit.match(text, at):
            run_end, told = _run(text, at, digit)
            if _unit_follows(text, run_end, told):
                break
            loose = MAX_LOOSE if _UNITS.match(text, run_end) else 0
            if pending is None and parts and parts[-1].kind is Kind.MORE:
                parts[-1] = replace(parts[-1], digits=parts[-1].digits + told, end=run_end, loose=loose)
            else:
                parts.append(Part(pending or Kind.MORE, told, at, run_end, loose=loose))
            at = end = run_end
            pending = None
        elif text[at] == BREAK:
            if parts and parts[-1].kind is not Kind.BREAK:
                parts.append(Part(Kind.BREAK, "", at, at + 1))
            at += 1
        elif match := _LINK.match(text, at):
            at = match.end()
        elif parts and (ahead := _ahead(text, at)) is not None:
            at = ahead
        else:
            break
    kept = tuple(part for part in parts if part.digits or part.kind is Kind.BREAK)
    return kept, max(end, at if not kept else end, 1 + parts[0].start if parts else at + 1)


def _run(text: str, at: int, digit: re.Pattern[str]) -> tuple[int, str]:
    """Digits without anything between them but what sounds like one and has digits on both sides."""
    told = ""
    while at < len(text):
        if digit.match(text, at):
            told += _HARD.get(text[at], text[at].upper())
        elif text[at] in _SOFT and told and not _LINK.match(text, at) and _among_digits(text, at, told, digit):
            told += "?" + _SOFT[text[at]]
        else:
            break
        at += 1
    return at, told


def _among_digits(text: str, at: int, told: str, digit: re.Pattern[str]) -> bool:
    return bool(digit.match(text, at + 1)) or len(told) >= 9


def _unit_follows(text: str, at: int, told: str) -> bool:
    return len(told) <= 4 and bool(_UNITS.match(text, at))


def _ahead(text: str, at: int) -> int | None:
    """Where words stand that put right what was told just before, no other digit between."""
    found = []
    for pattern in (_AGAIN, _PLACE, _FIX, _SWAP):
        match = pattern.search(text, at + 1, at + LOOK_AHEAD + 20)
        if match is not None and match.start() <= at + LOOK_AHEAD and not re.search(_D, text[at : match.start()]):
            found.append(match.start())
    return min(found, default=None)


def _read(spoken: str) -> str:
    return "".join(_HARD.get(character, "") for character in spoken)


def _nth(spoken: str | None) -> int:
    if not spoken:
        return 0
    return (10 if len(spoken) == 2 else 0) + _NTH[spoken[-1]]


@dataclass(frozen=True)
class _Hypothesis:
    digits: str
    cost: float = 0.0


class _Reading:
    """What may have been told so far, likeliest first, and the numbers that were whole before."""

    def __init__(self, fits: Fits, before: str) -> None:
        self._fits = fits
        self._now = [_Hypothesis(before)]
        self._start, self._end = -1, -1
        self._corrected = False
        self._done: list[Told] = []

    def play(self, parts: Sequence[Part]) -> list[Told]:
        for part in parts:
            self._take(part)
        self._finish()
        return self._done

    def _take(self, part: Part) -> None:
        if part.kind is Kind.BREAK:
            return
        if part.kind in (Kind.AGAIN, Kind.NEXT):
            self._finish()
        told = _variants(part)
        if part.kind in (Kind.MORE, Kind.AGAIN, Kind.NEXT):
            if self._whole() and any(self._fits(digits) for digits, _ in told):
                self._finish()  # a second number, or the same again
            whole = [replace(h, cost=h.cost + 1) for h in self._now if self._fits(h.digits)]
            self._keep(
                [_Hypothesis(h.digits + digits, h.cost + cost) for h in self._now for digits, cost in told] + whole
            )
        else:
            self._corrected = True
            self._keep([new for h in self._now for digits, cost in told for new in _corrected(part, h, digits, cost)])
        self._start = part.start if self._start < 0 else self._start
        self._end = part.end

    def _whole(self) -> str:
        """The likeliest number that fits."""
        return next((h.digits for h in self._now if self._fits(h.digits)), "")

    def _keep(self, hypotheses: list[_Hypothesis]) -> None:
        best: dict[str, _Hypothesis] = {}
        for h in sorted(hypotheses, key=lambda h: h.cost):
            if len(h.digits) <= MAX_DIGITS:
                best.setdefault(h.digits, h)
        self._now = list(best.values())[:MAX_HYPOTHESES]

    def _finish(self) -> None:
        """Notes the number that is whole and begins anew."""
        if self._start >= 0:
            for digits, guessed in self._best():
                told = Told(digits, self._start, self._end, 1, self._corrected, guessed)
                if self._done and self._done[-1].digits == digits:
                    last = self._done.pop()
                    told = replace(last, said=last.said + 1, end=told.end, guessed=last.guessed and guessed)
                self._done.append(told)
        self._now, self._start, self._corrected = [_Hypothesis("")], -1, False

    def _best(self) -> list[tuple[str, bool]]:
        for h in self._now:
            if self._fits(h.digits):
                return [(h.digits, h.cost >= 1)]
        for h in self._now:
            for size in range(7, len(h.digits) // 2 + 1):  # the whole number twice, or two numbers
                first, second = h.digits[:size], h.digits[size:]
                if self._fits(first) and self._fits(second):
                    return [(first, False), (second, False)]
        for h in self._now:
            for digits in _without_repeats(h.digits):
                if self._fits(digits):
                    return [(digits, True)]
        return []


def _variants(part: Part) -> list[tuple[str, float]]:
    """With what sounds like a digit read as one, and without it; without what may belong to the next word. And the cost
    of each."""
    told = part.digits
    read = [(told.replace("?", ""), 1.0), (re.sub(r"\?.", "", told), 1.5)] if "?" in told else [(told, 0.0)]
    return read + [(read[0][0][:-size], 0.2 * size) for size in range(1, part.loose + 1)]


def _corrected(part: Part, h: _Hypothesis, digits: str, cost: float) -> Iterator[_Hypothesis]:
    """What a correction may mean."""
    told, size = h.digits, len(digits)
    cost += h.cost
    if part.kind is Kind.SWAP:
        if not told:
            yield _Hypothesis(digits, cost)
        places = [at for at in range(len(told)) if told.startswith(part.wrong, at)]
        for rank, at in enumerate(reversed(places)):
            yield _Hypothesis(told[:at] + digits + told[at + len(part.wrong) :], cost + 0.1 * rank)
        if not places:
            yield _Hypothesis(told, cost + 2)
    elif part.kind is Kind.TAIL:
        yield _Hypothesis(told[: max(0, len(told) - size)] + digits, cost)
        yield _Hypothesis(told + digits, cost + 0.5)
    elif part.kind is Kind.HEAD:
        yield _Hypothesis(digits + told[size:], cost)
    elif part.kind is Kind.MIDDLE:
        middle = 3 if size == 4 else (len(told) - size) // 2
        yield _Hypothesis(told[:middle] + digits + told[middle + size :], cost)
    elif part.kind is Kind.NTH:
        yield _Hypothesis(told[: part.nth] + digits + told[part.nth + size :], cost)
    else:
        for dropped in range(len(told) + 1):
            kept, old = told[: len(told) - dropped], told[len(told) - dropped :]
            differs = sum(a != b for a, b in zip(old, digits, strict=False))
            yield _Hypothesis(kept + digits, cost + 0.05 * differs + 0.1 * max(0, dropped - size) + 0.4 * (not dropped))


def _without_repeats(digits: str) -> Iterator[str]:
    """Without a group that was said twice in a row; without two of them."""
    seen = {digits}
    level = [digits]
    for _ in range(3):
        level = [
            shorter
            for text in level
            for at in range(len(text))
            for size in range(MIN_SAID_AGAIN, (len(text) - at) // 2 + 1)
            if text[at : at + size] == text[at + size : at + 2 * size]
            for shorter in [text[:at] + text[at + size :]]
            if shorter not in seen and not seen.add(shorter)  # type: ignore[func-returns-value]
        ]
        yield from level
