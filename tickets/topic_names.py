"""Names of topics: whole phrases that are told in a group and seldom elsewhere. Pure.

A string is a phrase where its neighbours differ: of 路灯不亮 the part 灯不 is none, because 路 always stands before it.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence

SHORTEST, LONGEST = 2, 8
_LOOKED_AT = 60  # texts of a group, evenly spread
_COMPARED = 800  # texts of all, evenly spread
_TERMS = 6
_MOSTLY = 0.7  # a neighbour that so often stands beside a string is a part of the phrase
_EDGE = "\n"
_LOOSE = frozenset("上下里内外前后中间边个位次天年月日时分不没有到对为以从向由于等又还很太最更去来说叫")
_EMPTY = frozenset(
    (
        *(
            "严重影响",
            "严重",
            "政府",
            "人民政府",
            "造成",
            "相关",
            "部门",
            "需要",
            "通过",
            "本人",
            "群众",
            "生活",
            "附近",
        ),
        *("承诺", "通知", "小区", "地方", "时候", "东西", "事情", "电话"),
    )
)
_DISTRICTS = frozenset("省市县区镇乡")


def phrases_of(
    groups: Sequence[Sequence[str]], texts: Sequence[str], place_names: Collection[str] = ()
) -> list[list[str]]:
    """The phrases that tell each group of `plain` texts from all `texts`, the best first; class-based TF-IDF."""
    compared = _spread(texts, _COMPARED)
    return [_phrases(_spread(group, _LOOKED_AT), compared, frozenset(place_names)) for group in groups]


def name_of(terms: Sequence[str], *, town: str, category: str) -> str:
    """儒林街道：路灯不亮、没人修. The category where there are no phrases."""
    matter = "、".join(terms[:2]) or category.replace("/", " ") or "未归类"
    return f"{town}：{matter}" if town else matter


def _phrases(group: Sequence[str], compared: Sequence[str], place_names: frozenset[str]) -> list[str]:
    counts = Counter(gram for text in group for gram in _grams(text))
    bar = max(2, math.ceil(0.12 * len(group)))
    candidates = [gram for gram, count in counts.most_common(400) if count >= bar and not _is_loose(gram)]
    whole = [gram for gram in candidates if _is_whole(gram, group)]
    scored = []
    for gram in whole[:80]:
        if any(gram in name or name in gram for name in place_names):
            continue
        elsewhere = sum(gram in text for text in compared)
        share = counts[gram] / len(group)
        scored.append((share * math.log(1 + len(compared) / (1 + elsewhere)) * math.log(1 + len(gram)), gram))
    scored.sort(key=lambda item: (-item[0], item[1]))
    chosen: list[str] = []
    for _, gram in scored:
        if not any(gram in known or known in gram for known in chosen):
            chosen.append(gram)
    return chosen[:_TERMS]


def _grams(text: str) -> set[str]:
    return {
        piece[at : at + length]
        for piece in text.split(_EDGE)
        for length in range(SHORTEST, LONGEST + 1)
        for at in range(len(piece) - length + 1)
    }


def _is_loose(gram: str) -> bool:
    """Whether it begins or ends with what leans on its neighbours, is a mere number or a district, or says nothing."""
    if gram in _EMPTY or (gram[-1] in _DISTRICTS and len(gram) <= 4):
        return True
    if gram[0] in _LOOSE - {"不", "没"} or gram[-1] in _LOOSE:
        return True
    return any(char.isdigit() for char in (gram[0], gram[-1])) or gram.isascii()


def _is_whole(gram: str, group: Sequence[str]) -> bool:
    before, after = Counter[str](), Counter[str]()
    for text in group:
        framed = f"{_EDGE}{text}{_EDGE}"
        at = framed.find(gram)
        while at >= 0:
            before[framed[at - 1]] += 1
            after[framed[at + len(gram)]] += 1
            at = framed.find(gram, at + 1)
    return all(
        count <= _MOSTLY * sides.total() for sides in (before, after) for side, count in sides.items() if side != _EDGE
    )


def _spread(texts: Sequence[str], most: int) -> Sequence[str]:
    return texts[:: max(1, math.ceil(len(texts) / most))]
