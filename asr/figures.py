"""Spoken numbers as figures, as a clerk would write them: 23500块, 13.5度, 3月5号, 3点20, 3号楼, 13800138000. Pure.

Only the numerals change, not the words around them: 下午三点半 is 下午3点半 and 百分之八十 is 百分之80, so every figure
still stands where it was said. What may be no number stays as it is: 万一, 十分满意, 两三千, 十三陵, 有两点意见.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

MIN_RUN = 3  # 三零二 is a room; 一二 may be anything
NUMERALS = "零〇一二两三四五六七八九十百千万亿"
_ONES = {numeral: value for value, numeral in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
# Also as people spell numbers out on the telephone: 洞 (0), 幺 (1), 两 (2), 拐 (7), 勾 (9).
SPOKEN_DIGITS = dict(zip("零〇○洞幺一二两三四五六七拐八九勾", "00001122345677899", strict=True))

_SECTION = re.compile(
    r"(?:(?P<k>[一二两三四五六七八九])千)?(?:(?P<z1>零)?(?P<h>[一二两三四五六七八九])百)?"
    r"(?:(?P<z2>零)?(?P<t>[一二三四五六七八九])?(?P<ten>十))?(?:(?P<z3>零)?(?P<o>[一二两三四五六七八九]))?"
)


@dataclass(frozen=True)
class Figure:
    """`text[start:end]` is written as `figure`."""

    start: int
    end: int
    figure: str


def number(spoken: str) -> int | None:
    """The value of a whole number as it is said, short forms too (一万二, 一百五); nothing where it is none.

    >>> number("两万三千五"), number("十二"), number("三五")
    (23500, 12, None)
    """
    total, short = 0, 0  # what a last numeral without a unit counts
    for unit, value in (("亿", 100_000_000), ("万", 10_000)):
        head, found, spoken = spoken.rpartition(unit)
        if not found:
            continue
        times = number(head) if unit == "亿" else _section(head, 0)
        if not times:
            return None
        total, short = total + times * value, value // 10
        if not spoken:
            return total
    rest = _section(spoken, short)
    return None if rest is None else total + rest


def _section(spoken: str, short: int) -> int | None:
    """Below ten thousand. `short`: what a numeral that stands alone counts after 万 or 亿, else 0."""
    if spoken in ("零", "〇"):
        return 0
    found = _SECTION.fullmatch(spoken)
    if found is None or not spoken:
        return None
    k, h, t, o = (_ONES[found[name]] if found[name] else 0 for name in ("k", "h", "t", "o"))
    if found["ten"] and not found["t"]:
        t = 1
    if found["o"] and not found["z3"] and not found["ten"]:  # 三千五, 一百五, 一万二; but 一百零五
        o *= 10 if h else 100 if k else short or 1
    return 1000 * k + 100 * h + 10 * t + o


def _written(spoken: str) -> str | None:
    """A whole number in figures; round ones keep their last unit (30万), as people read them more easily so."""
    if spoken[-1] in "万亿":
        times = number(spoken[:-1])
        return None if not times or times >= 10_000 else f"{times}{spoken[-1]}"
    value = number(spoken)
    return None if value is None else str(value)


_SIGNS = f"[{NUMERALS}]"
_BEFORE = rf"(?<!{_SIGNS})(?<![几数])"
_AFTER = rf"(?!{_SIGNS})"
_NUMBER = rf"{_SIGNS}++"
_ONE = "[一二三四五六七八九]"
_ONE_OR_TWO = "[一二两三四五六七八九]"
_SPELLED = f"[{''.join(SPOKEN_DIGITS)}]"
_END = r"$|[，。？！、；：\s的了吧啊呢吗嘛呀]"
_DECIMALS = (
    "度|公里|千米|米|厘米|毫米|平|公斤|千克|斤|吨|克|升|元|块|万|亿|倍|兆|千瓦|瓦|伏|小时|亩|折|级|个百分点|[，。]|$"
)
_TIMES_OF_DAY = "上午|下午|早上|早晨|晚上|中午|凌晨|夜里|半夜|傍晚|今早|明早|今晚|明晚|昨晚"
_MINUTES = rf"(?:零{_ONE}|[二三四五]?十{_ONE}?|{_ONE}(?=分(?!之))){_AFTER}"
_THINGS = (
    "个|户|岁|度|块|元|角|毛|分钟|秒|天|日|号|月|年|周|星期|点|小时|钟头|米|平|公里|千米|里地|里路|厘米|毫米|亩|斤|公斤|千克|克|吨|升|毫升|兆|瓦|"
    "千瓦|伏|人|名|位|口|家|次|趟|遍|回|层|楼|栋|幢|单元|室|路|辆|台|件|张|条|只|套|间|排|根|盏|棵|头|份|期|届|倍|页|批|代|级|集|步|公分|立方|"
    "袋|箱|瓶|盒|桶|车|包|把"
)

# Groups: n a number, h an hour, m minutes, d digits one by one, r at least three of them, and the point. The first rule
# that fits takes the place.
RULES = tuple(
    re.compile(pattern)
    for pattern in (
        # 13.5度
        rf"{_BEFORE}(?P<n>{_NUMBER})(?P<point>点)(?P<d>[零〇一二三四五六七八九]++)(?={_DECIMALS})",
        # 3点20, 10点05分, 3点半, 下午3点到4点; 一点 alone may mean a little, 两点 two things
        rf"{_BEFORE}(?P<h>{_NUMBER})点(?P<m>{_MINUTES})",
        rf"{_BEFORE}(?P<h>{_NUMBER})点(?=半|整|钟|[一三]刻)",
        rf"(?:{_TIMES_OF_DAY})(?P<h>{_NUMBER})点(?![点都也儿不没])",
        rf"{_BEFORE}(?P<h>(?!一点){_NUMBER})点(?=多(?!余)|左右|以?[前后]|之[前后]|开始|来钟|[到至]{_NUMBER}点)",
        rf"点[半钟]?[到至](?P<h>{_NUMBER})点",
        # 98年, 08年; but 七八年 and 三五年 are about so many
        rf"{_BEFORE}(?P<d>(?!一二|二三|三四|三五|四五|五六|六七|七八|八九)[零〇一二三四五六七八九]{{2}})(?=年)",
        # 3月5号
        rf"{_BEFORE}(?P<n>{_ONE})(?=月(?:份|底|初|[上中下]旬|(?:{_ONE}|[二三]?十{_ONE}?)[号日]))",
        rf"(?<=年)(?P<n>{_ONE})(?=月)",
        rf"(?<=月)(?P<n>{_ONE})(?=[号日])",
        # 3号楼2单元, 5路公交
        rf"{_BEFORE}(?P<n>{_ONE})(?=号楼|号院|号门|号线|单元|栋|幢|路公交|路车)",
        # 3块5, 5毛钱, 2元
        rf"{_BEFORE}(?P<n>{_NUMBER})块(?P<d>{_ONE})(?=[毛角钱]|{_END})",
        rf"{_BEFORE}(?P<n>{_ONE_OR_TWO})(?=块钱|元钱|毛钱|(?:毛|角|元)(?:{_END}))",
        # 38度7; 15万8, but not 一万一年, 两万三个人
        rf"{_BEFORE}(?P<n>{_NUMBER})度(?P<d>{_ONE})(?={_END}|发烧|多|左右)",
        rf"{_BEFORE}(?P<n>{_NUMBER}(?<=万[二三四五六七八九]))(?!{_THINGS}|多|余|几|里)",
        # 零下5度
        rf"(?<=零下)(?P<n>{_ONE})(?=度)",
        rf"{_BEFORE}(?P<n>(?!一){_ONE})(?=度(?:{_END}|左右|多|以[上下]|[到至都]))",
        rf"{_BEFORE}(?P<n>{_ONE_OR_TWO})(?=岁)",
        rf"(?<=百分之)(?P<n>{_NUMBER})",
        # 23500块, 30多户, 10个; 十分, 十多 and 十来个 stay
        rf"{_BEFORE}(?P<n>(?={_SIGNS}{{2}}){_NUMBER})(?={_THINGS}|多|余|几|左右|以[上下内]|来|到|至|和|分(?:{_END})|{_END})",
        rf"{_BEFORE}(?P<n>十)(?={_THINGS}){_AFTER}",
        # 13800138000, 302室; who spells pauses now and then, but 三零二，一直 goes on with another word
        rf"(?<![十百千万亿])(?P<r>{_SPELLED}(?:{_SPELLED}|，{_SPELLED}{{2,}}+(?![十百千万亿])|，{_SPELLED}(?=[，。]|$))*+)"
        "(?![十百千万亿])",
    )
)


def figures(text: str) -> list[Figure]:
    """What is written otherwise in `text`, in order."""
    found: dict[int, Figure] = {}
    taken = [False] * len(text)
    for rule in RULES:
        for match in rule.finditer(text):
            new = list(_read(match))
            if new and not any(any(taken[each.start : each.end]) for each in new):
                for each in new:
                    found[each.start] = each
                    taken[each.start : each.end] = [True] * (each.end - each.start)
    return [found[start] for start in sorted(found)]


def written(text: str) -> str:
    """`text` with its figures."""
    out, at = "", 0
    for found in figures(text):
        out, at = out + text[at : found.start] + found.figure, found.end
    return out + text[at:]


def _read(match: re.Match[str]) -> Iterator[Figure]:
    """The figures of a rule's groups; none where one of them is no number."""
    read = {name: _GROUPS[name](spoken) for name, spoken in match.groupdict().items()}
    if None not in read.values():
        for name, figure in read.items():
            yield Figure(match.start(name), match.end(name), str(figure))


def _hour(spoken: str) -> str | None:
    value = number(spoken)
    return None if value is None or value > 24 else str(value)


def _minutes(spoken: str) -> str:
    value = number(spoken)
    return f"{value:02d}" if spoken[0] in "零〇" else str(value)


def _digits(spoken: str) -> str:
    return "".join(SPOKEN_DIGITS[numeral] for numeral in spoken if numeral != "，")


def _run(spoken: str) -> str | None:
    digits = _digits(spoken)
    return digits if len(digits) >= MIN_RUN else None


_GROUPS: Mapping[str, Callable[[str], str | None]] = {
    "n": _written,
    "h": _hour,
    "m": _minutes,
    "d": _digits,
    "r": _run,
    "point": lambda _: ".",
}
