"""How the caller feels, how urgent it is, and who is in need of care. Pure.

Conservative: a calm caller has no finding. Codes: `mood` is upset or angry, `urgency` soon or urgent.
"""

import re
from datetime import datetime

from tickets.extraction.finding import Finding
from tickets.speech import Speech

HEATING_MONTHS = (11, 12, 1, 2, 3)
HEATING = "供暖/"
ANGRY_SCORE = UPSET_SCORE = 2

_ANGRY = {
    2: (
        r"气死|太过分|忍无可忍|黑心|曝光|什么态度|到底管不管|不要脸|欺负人|岂有此理|混蛋|王八蛋|他妈|骗子|太欺负|"
        r"糊弄(?:我|谁|人)|告到|上访|"
        r"无法无天|忽悠(?:我|人)|不拿[\u4e00-\u9fff]{1,4}当"
    ),
    1: (
        r"不作为|推来推去|踢皮球|生气|气愤|太不像话|不像话|没人管|投诉你们|凭什么|骗人|敷衍|互相推诿|推诿|没完没了|"
        r"第[三四五六七八九]次(?:打|反映)|打了(?:好几|[三四五六七八九十])[次遍]"
    ),
}
_UPSET = {
    2: (
        r"急死|急坏|求求|求你们|没法活|活不下去|走投无路|睡不着觉?|没法睡|受不了|害怕|吓得|都哭了|哭了|绝望|崩溃|"
        r"担惊受怕|很着急|特别着急|非常着急|太着急"
    ),
    1: r"着急|焦急|没办法|担心|难受|委屈|愁死|发愁|无奈|太难了|可怜|冻着|冻得|害怕",
}
_URGENT = re.compile(
    r"(?:赶紧|马上|立刻|立即|现在就|火速)(?:来|派|修|处理|解决|给|过来|帮|想办法)|等不了|等不及|快来人|急着|"
    r"十万火急|救命|随时(?:可能)?(?:会)?(?:倒|塌|掉|爆|着火|漏)|"
    r"快不行了|特别急|很急|非常急|紧急"
)
_SOON = re.compile(r"尽快|尽早|赶紧|赶快|快点|快一点|早点|抓紧|着急|马上过年|马上就要")
_NOT = re.compile(r"(?:不|别|没|不用|不是|不要|不太|没那么)(?:太|很|那么|特别)?$")

_ELDERLY = (
    r"老人|老年人|老头|老太太|老母亲|老父亲|老爷子|奶奶|爷爷|姥姥|姥爷|(?:我|家里|"
    r"他)?(?:[六七八九]十[多几一二三四五六七八九]?|[6-9][0-9]多?)岁"
)
_VULNERABLE = (
    (
        "老人",
        re.compile(
            rf"(?:家里?|家中|独居|空巢|瘫痪|卧床|生病|孤寡|冻)[\u4e00-\u9fff]{{0,6}}(?:{_ELDERLY})|"
            rf"(?:{_ELDERLY})[\u4e00-\u9fff]{{0,10}}(?:冻|(?<!看)病|下不了楼|腿脚|行动|卧床|瘫|独自|一个人|出不了|"
            rf"没法|受不了|摔|走不了|八十|九十|怕冷|扛不住)"
        ),
    ),
    (
        "婴幼儿",
        re.compile(
            r"婴儿|新生儿|刚出生|刚满月|没满月|不满周岁|吃奶的孩子|宝宝|坐月子|月子里|"
            r"[一二三四五六七八九十两几]个?多?月大?的(?:孩子|小孩|娃)|"
            r"(?:[一二三两]岁)[\u4e00-\u9fff]{0,3}(?:孩子|小孩|娃)|(?:孩子|小孩|娃)[\u4e00-\u9fff]{0,4}(?:冻|"
            r"发烧|感冒|生病)"
        ),
    ),
    ("孕妇", re.compile(r"孕妇|怀孕|怀着孕|大着肚子|快生了|待产")),
    (
        "病人",
        re.compile(r"病人|瘫痪|透析|癌症|重病|卧床|心脏病|刚做完手术|吸氧|呼吸机|脑梗|中风|植物人|化疗|尿毒症|精神病"),
    ),
    ("残疾人", re.compile(r"残疾|轮椅|盲人|聋哑|拄拐|双拐|低保户|失能")),
)
_WHOLE_HOUSE = re.compile(r"没(?:有)?暖气|暖气(?:片)?(?:不热|冰凉|没来|停了)|停暖|不热|不制热|温度上不去|冻|报警|坏")


def find_feeling(speech: Speech) -> list[Finding]:
    """`mood` and `urgency`, where there is something to say."""
    found = []
    for field, value, score, table in (("mood", "angry", ANGRY_SCORE, _ANGRY), ("mood", "upset", UPSET_SCORE, _UPSET)):
        signs = _signs(speech.text, table)
        total = sum(weight for weight, _, _ in signs)
        if total >= score:
            _, start, end = max(signs)
            found.append(Finding(field, value, "transcript", min(0.9, 0.4 + 0.1 * total), speech.span(start, end)))
            break
    for value, pattern in (("urgent", _URGENT), ("soon", _SOON)):
        match = next((each for each in pattern.finditer(speech.text) if not _denied(speech.text, each.start())), None)
        if match:
            found.append(Finding("urgency", value, "transcript", 0.7, speech.span(*match.span())))
            break
    return found


def find_vulnerable(speech: Speech, *, category: str, now: datetime) -> list[Finding]:
    """The flag `vulnerable`: who is in need, and a home without heating in winter where somebody is."""
    found = [(name, match) for name, pattern in _VULNERABLE if (match := pattern.search(speech.text))]
    if not found:
        return []
    names = [name for name, _ in found]
    if category.startswith(HEATING) and now.month in HEATING_MONTHS and _WHOLE_HOUSE.search(speech.text):
        names.append("供暖季停暖")
    return [Finding("vulnerable", "、".join(names), "transcript", 0.75, speech.span(*found[0][1].span()))]


def _signs(text: str, table: dict[int, str]) -> list[tuple[int, int, int]]:
    """Weight and place of what is said; nothing twice, nothing denied."""
    found: list[tuple[int, int, int]] = []
    seen: set[str] = set()
    for weight, pattern in table.items():
        for match in re.finditer(pattern, text):
            start, end = match.span()
            overlaps = any(start < other_end and other_start < end for _, other_start, other_end in found)
            if match.group() not in seen and not overlaps and not _denied(text, start):
                seen.add(match.group())
                found.append((weight, start, end))
    return found


def _denied(text: str, start: int) -> bool:
    return bool(_NOT.search(text[max(0, start - 4) : start]))
