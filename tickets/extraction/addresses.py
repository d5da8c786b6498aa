"""Where it is: the site's places, then what people call places (…村, …路), house numbers and landmarks. Pure.

A name that the gazetteer does not know counts only where something says that it begins there (住在, 位于, a place
before it), because Chinese has no blanks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from asr.figures import SPOKEN_DIGITS, number
from tickets.extraction.finding import Finding
from tickets.gazetteer import Gazetteer, PlaceHit
from tickets.speech import BREAK, Speech

SAID = 0.65  # a name that no list knows
NEAR = 24  # characters between parts of one address

_N = r"[零〇幺一二两三四五六七八九十百0-9]"
_LETTER = "[A-Za-z甲乙丙丁]"
_CHARACTER = r"[\u4e00-\u9fff]"
_CUT = "的在是到从去住把被有和跟就我你他们家说了这那个要给没不别让为些于"
_NAME = rf"(?:(?![{_CUT}])[\u4e00-\u9fff]){{1,6}}?"
_BEGINS = (
    r"(?:我?家?住在?|我?家在|位于|地址(?:是|在)?|地点(?:是|在)?|就在|发生在|我们?(?:是|在|这儿是|这里是|"
    r"这边是)|我(?:是|在)|来自|(?<=[\u4e00-\u9fff])在|^在?|"
    r"\n在?)"
)
_ESTATES = (
    "小区|社区|花园|家园|嘉园|佳园|佳苑|公寓|家属院|家属楼|新村|新苑|北里|南里|东里|西里|北区|南区|东区|西区|"
    "大院|大厦|广场"
)
_VILLAGES = "自然村|新村|村"
_ROADS = "大街|大道|胡同|公路|环路|东路|西路|南路|北路|街|路|巷|道"
_KINDS = (("estate", _ESTATES), ("village", _VILLAGES), ("road", _ROADS))
_SAID = tuple((kind, re.compile(rf"(?P<name>{_NAME}(?:{ends}))(?!上|边|面|里的)")) for kind, ends in _KINDS)
_NO_NAMES = re.compile(
    r"^(?:村里.*|小区|我们小区|整个小区|这个小区|本小区|全村|村|每个村|农村|各村|同村|外村|邻村|一条路|马路|"
    r"走路|公路|铁路|修路|道路|街|大街|路|老旧小区|.{0,2}道路|知道|管道|"
    r"通道|味道|报道|难道|渠道|街道|电路|水路|线路|网路|思路|一路|问路|网上小区|上路|下路|半路|带路|开路|拦路|"
    r"堵路|占道|过道|人行道|车道|便道|盲道|辅路|主路|岔路|土路|水泥路|回村|"
    r"进村|出村|住村|驻村|新农村|乡村|山村|隔壁村|城中村|一个村|一个小区|高速公路|的社区|大广场|找社区|问社区|跟社区)$"
)
_HOUSE = re.compile(
    rf"(?P<number>{_N}+号(?!楼|院楼|线|晚|早|上|下|中)院?)?(?P<building>(?:{_N}+|{_LETTER})(?:号楼|栋楼?|幢楼?|"
    rf"座|楼(?={_N}+(?:单元|"
    rf"门)))|{_N}+号楼)?"
    rf"(?P<unit>{_N}+(?:单元|门洞|门))?(?P<floor>{_N}+(?:层|楼(?![上下道])))?(?P<room>{_N}{{1,5}}(?:号?室|号房|房间|"
    rf"号(?!楼|院|线|路|晚|早|上|下|中)))?"
)
_BARE_ROOM = re.compile(
    r"(?P<room>[零〇幺一二两三四五六七八九0-9]{3,4})(?![零〇幺一二两三四五六七八九十百千万0-9年月块元个米号])"
)
_LANDMARK = re.compile(
    r"(?P<name>(?:(?![的在是到从去住我你他这那就把])[\u4e00-\u9fff]){0,8}?)(?:的)?(?P<where>(?:十字|丁字|"
    r"交叉)路口|路口|红绿灯|交叉口|交界处|"
    r"(?:的)?(?:大?门口)|村口|桥下|桥头|对面|斜对面|旁边|附近|隔壁|西侧|东侧|南侧|北侧|西边|东边|南边|北边|后面|拐角)"
)
_PLACE_LIKE = re.compile(
    r"(?:[村镇乡路街道桥站场店园院校厂楼口区里]|小区|广场|医院|学校|银行|超市|公司|饭店|政府|邮局|派出所|中心|"
    r"加油站|公园|市场|幼儿园|[小中大]学)$"
)


@dataclass(frozen=True)
class _Part:
    kind: str
    text: str
    start: int
    end: int
    confidence: float


def find_address(speech: Speech, gazetteer: Gazetteer) -> tuple[PlaceHit | None, list[Finding]]:
    """The best place known, and `place`, `town`, `community`, `grid` and `address`.

    `place` is the town, or the name where its town is not certain; `address` all that was said, from the large to the
    small.
    """
    text = speech.text
    best = gazetteer.find(text)
    hits = _related(gazetteer.find_all(text), best)
    parts = [_Part(hit.place.kind, hit.place.name, hit.start, hit.end, hit.confidence) for hit in hits]
    parts += [part for part in _said(text, parts) if not any(_touch(part, other) for other in parts)]
    parts.sort(key=lambda part: part.start)
    parts = _one_place(parts, best)
    house = _house(text, parts)
    landmark = _landmark(text, [*parts, *([house] if house else [])])
    return best, [*_towns(best, parts, speech), *_address(best, parts, house, landmark, speech)]


def _related(hits: tuple[PlaceHit, ...], best: PlaceHit | None) -> list[PlaceHit]:
    """The best one and those of its town."""
    if best is None:
        return []
    town = best.place.town
    kept = [hit for hit in hits if hit == best or not town or hit.place.town in ("", town)]
    return kept if best in kept else [best, *kept]


def _said(text: str, known: list[_Part]) -> Iterator[_Part]:
    """Names with a place's ending where a name may begin."""
    starts = {match.end() for match in re.finditer(_BEGINS, text)} | {part.end for part in known}
    taken = -1
    for start in sorted(starts):
        if any(part.start <= start < part.end for part in known):
            continue
        for kind, pattern in _SAID:
            match = pattern.match(text, start)
            if match and match.start() >= taken and not _NO_NAMES.match(match["name"]) and BREAK not in match["name"]:
                yield _Part(kind, match["name"], match.start(), match.end(), SAID)
                taken = match.end()
                inner = pattern.match(text, match.end()) or _SAID[0][1].match(text, match.end())
                if inner and not _NO_NAMES.match(inner["name"]):
                    yield _Part(kind, inner["name"], inner.start(), inner.end(), SAID)
                    taken = inner.end()
                break


def _touch(one: _Part, other: _Part) -> bool:
    return one.start < other.end and other.start < one.end


def _one_place(parts: list[_Part], best: PlaceHit | None) -> list[_Part]:
    """The parts near the best one, or near the first."""
    if not parts:
        return []
    centre = next((part for part in parts if best and part.start == best.start), parts[0])
    kept = [part for part in parts if abs(part.start - centre.end) <= NEAR or abs(centre.start - part.end) <= NEAR]
    by_name: dict[str, _Part] = {}
    for part in kept:
        by_name.setdefault(part.text, part)
    return list(by_name.values())


def _house(text: str, parts: list[_Part]) -> _Part | None:
    """The house number after a place, or anywhere where it has a building and a unit."""
    best: _Part | None = None
    for match in _HOUSE.finditer(text):
        if not match.group():
            continue
        given = [name for name in ("number", "building", "unit", "floor", "room") if match[name]]
        after = any(0 <= match.start() - part.end <= 2 for part in parts)
        if not ((after and given != ["floor"]) or "building" in given or {"unit", "room"} <= set(given)):
            continue
        end = match.end()
        value = "".join(_written(match[name]) for name in given)
        if "unit" in given and "room" not in given and (room := _BARE_ROOM.match(text, end)):
            value, end = value + _digits(room["room"]) + "室", room.end()
        found = _Part("house", value, match.start(), end, 0.85)
        if best is None or len(given) > best.text.count("号") + best.text.count("单元"):
            best = found
    return best


def _landmark(text: str, parts: list[_Part]) -> _Part | None:
    """…旁边, …路口: after a place, or after a name that is like one."""
    for match in _LANDMARK.finditer(text):
        where = match.start("where")
        start = max([match.start(), *(part.end for part in parts if part.end <= where)])
        name = text[start:where].removesuffix("的").removeprefix("的")
        near = any(start == part.end for part in parts)
        if (near and len(name) <= 6) or (len(name) >= 2 and _PLACE_LIKE.search(name)):
            return _Part("landmark", name + match["where"].removeprefix("的"), start, match.end(), SAID)
    return None


def _towns(best: PlaceHit | None, parts: list[_Part], speech: Speech) -> list[Finding]:
    found = []
    if best is not None:
        span = speech.span(best.start, best.end)
        found.append(Finding("place", best.place.town or best.place.name, "transcript", best.confidence, span))
        if best.place.town:
            found.append(Finding("town", best.place.town, "transcript", best.confidence, span))
    for part in parts:
        if (part.kind in ("community", "village", "estate") or part.text.endswith(("村", "社区", "小区"))) and not (
            best and part.text == best.place.town
        ):
            span = speech.span(part.start, part.end)
            found.append(Finding("community", part.text, "transcript", part.confidence, span))
            break
    else:
        if best is not None and best.place.community:
            span = speech.span(best.start, best.end)
            found.append(Finding("community", best.place.community, "transcript", best.confidence, span))
    if best is not None and best.place.grid:
        span = speech.span(best.start, best.end)
        found.append(Finding("grid", best.place.grid, "transcript", best.confidence, span))
    return found


def _address(
    best: PlaceHit | None, parts: list[_Part], house: _Part | None, landmark: _Part | None, speech: Speech
) -> list[Finding]:
    text, town = speech.text, best.place.town if best else ""
    named = [part for part in parts if part.text != town]
    all_parts = [*named, *([house] if house else []), *([landmark] if landmark else [])]
    if not all_parts:
        return []
    value = town if named == [] and house is None else ""
    for before, part in zip([None, *all_parts], all_parts, strict=False):
        crossing = before is not None and text[before.end : part.start] in ("和", "与", "跟") and part in named
        value += ("和" if crossing else "") + part.text
    first, last = min(all_parts, key=lambda part: part.start), max(all_parts, key=lambda part: part.end)
    if last.end - first.start > 3 * NEAR:
        last = first
    confidence = round(min(part.confidence for part in all_parts), 2)
    return [Finding("address", value[:200], "transcript", confidence, speech.span(first.start, last.end))]


def _written(spoken: str) -> str:
    """House numbers in figures."""
    return re.sub(rf"{_N}+", lambda match: _digits(match.group()), spoken)


def _digits(spoken: str) -> str:
    if spoken.isascii():
        return spoken
    value = number(spoken) if re.search("[十百]", spoken) or len(spoken) == 1 else None
    return str(value) if value is not None else "".join(SPOKEN_DIGITS.get(each, each) for each in spoken)
