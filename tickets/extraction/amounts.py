"""Sums of money and numbers of people and households, as they were told. Pure.

Figures as a clerk would write them (32000元, 2000多元); what may be no number of money (十五个) is none.
"""

import re

from asr.figures import number
from tickets.extraction.finding import Finding
from tickets.speech import Speech

MAX_VALUES = 5
BEFORE = 14
_N = r"[零〇一二两三四五六七八九十百千万亿]+"
_UNIT = r"(?:块钱|元钱|块|元|毛钱|毛|角)"
_FIGURES = r"[0-9]+(?:\.[0-9]+)?[万千百亿]?"
_SUM = re.compile(
    rf"(?<![第数])(?P<lead>十几|几十|几百|几千|几万|好几[百千万]|上[百千万]|{_N}几万|{_FIGURES}|{_N})(?P<more>多|来|"
    rf"余)?(?P<scale>万)?(?P<unit>{_UNIT})(?P<tail>[一二三四五六七八九](?!{_N}|个|户|年|天|月|人|名|位|点|号|楼|次|件|家|张|斤)[毛角]?)?"
)
_BARE = re.compile(
    rf"(?P<n>[一二两三四五六七八九十百千]+[万千百](?:[一二三四五六七八九](?!个|户|年|天|月|人|名|位|点|号|楼|"
    rf"单元))?|{_N}|[0-9]{{3,7}}|"
    rf"[0-9.]+万)(?P<more>多|来|余)?(?=了|的|，|。|\n|$|左右|没|还|都|呢|吧|啊|谢|现|我|一|，|不|到|工|人家|，|，)"
)
_OWED = re.compile(
    r"拖欠|欠|罚|押金|定金|订金|退|赔|工资|费|收了?我?|交了?|花了?|涨到|工程款|货款|补贴|一共|总共|合计|共计|骗了?|借"
)
_TOTAL = re.compile(r"(?:一共|总共|合计|共计|加起来)[\u4e00-\u9fff]{0,8}$")
_PER = re.compile(r"(?:每|一)个?(?P<what>月|平米|平方米?|平|度|吨|年|天|立方|小时|次|人|斤|户)[\u4e00-\u9fff]{0,2}$")
_PEOPLE = re.compile(
    rf"(?<![第一])(?P<n>十几|几十|几百|好几|上百|上千|{_N}|[0-9]+)(?P<more>多|来|余)?(?:(?P<unit>个人(?!都不|"
    rf"信息)|口人|名(?:工人|职工|员工|村民|"
    rf"业主|居民|农民工|学生|老人|同事|群众)|位(?:工人|职工|员工|村民|业主|居民|农民工|学生|老人|同事)|"
    rf"个(?:工人|农民工|村民|业主|居民|同事|工友|学生|老人)|户(?:人家|居民|"
    rf"村民)?|家(?:住户|农户)))"
)


def find_amounts(speech: Speech) -> list[Finding]:
    """`amounts` and `people`; several are joined with 、, a total first."""
    found = []
    sums = _sums(speech.text)
    if sums:
        start, end, _, _ = sums[0]
        values = list(dict.fromkeys(value for *_, value in sums))[:MAX_VALUES]
        found.append(Finding("amounts", "、".join(values), "transcript", 0.85, speech.span(start, end)))
    people = _people(speech.text)
    if people:
        start, end, _ = people[0]
        values = list(dict.fromkeys(value for *_, value in people))[:MAX_VALUES]
        found.append(Finding("people", "、".join(values), "transcript", 0.8, speech.span(start, end)))
    return found


def _sums(text: str) -> list[tuple[int, int, bool, str]]:
    found: list[tuple[int, int, bool, str]] = []
    for match in _SUM.finditer(text):
        value = _money(match)
        if value:
            before = text[max(0, match.start() - BEFORE) : match.start()]
            per = _PER.search(before)
            total = bool(_TOTAL.search(before))
            said = ("每" + per["what"] if per else "") + value
            found.append((match.start(), match.end(), total, said))
    for match in _BARE.finditer(text):
        before = text[max(0, match.start() - BEFORE) : match.start()].rpartition("\n")[2]
        worth = number(match["n"]) if not match["n"][0].isdigit() else _figure(match["n"])
        overlaps = any(start < match.end() and match.start() < end for start, end, *_ in found)
        if worth is not None and worth >= 100 and not overlaps and _OWED.search(before):
            total = bool(_TOTAL.search(before))
            found.append((match.start(), match.end(), total, f"{_round(worth)}{'多' if match['more'] else ''}元"))
    return sorted(found, key=lambda item: (not item[2], item[0]))


def _money(match: re.Match[str]) -> str:
    lead, more, unit = match["lead"], "多" if match["more"] else "", match["unit"]
    scale = match["scale"] or ""
    if unit[0] in "毛角":
        value = number(lead)
        return f"{value / 10:g}元" if value is not None and value < 10 else ""
    if lead[0].isdigit():
        return f"{lead}{more}{scale}元"
    if re.search("几|^上", lead):
        return f"{lead.removeprefix('好')}{more}{scale}元"
    value = number(lead)
    if value is None:
        return ""
    if scale:
        return f"{value}{more}万元"
    tail = match["tail"]
    if tail:
        return f"{value + '零一二三四五六七八九'.index(tail[0]) / 10:g}元"
    if value == 1 and unit in ("块", "元"):  # 一块 is a piece, too
        return ""
    return f"{_round(value)}{more}元"


def _figure(text: str) -> int | None:
    if text.endswith("万"):
        return round(float(text[:-1]) * 10_000) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?万", text) else None
    return int(text) if text.isdigit() else None


def _round(value: int) -> str:
    return f"{value // 10_000}万" if value and value % 10_000 == 0 and value >= 100_000 else str(value)


def _people(text: str) -> list[tuple[int, int, str]]:
    found = []
    for match in _PEOPLE.finditer(text):
        told, more = match["n"], "多" if match["more"] else ""
        value = int(told) if told.isdigit() else number(told)
        unit = "户" if match["unit"][0] in "户家" else "人"
        if value is not None and value < 2:
            continue
        count = told.removeprefix("好") if value is None else str(value)
        if value is not None or re.search("几|上", told):
            found.append((match.start(), match.end(), f"{count}{more}{unit}"))
    return found
