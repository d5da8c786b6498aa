"""Marks between the words of an utterance: by the pauses, and by what stands before and after them. Pure.

People pause inside a phrase and speak on over its end, so a pause alone tells little. Each place between two words has
a score: its pause as a share of the pause that makes a mark by itself, and what the words say for or against one.
"""

import re
from collections.abc import Sequence

from asr.recognizer import Word

COMMA, STOP, QUESTION = "，", "。", "？"
COMMA_MS, STOP_MS = 300, 700  # pauses that make a mark where the words say nothing
MAX_SHARE = 2.0
TAIL = 6  # characters of what may be the rest of a clause

_GREETING = re.compile(r"(?:^|[，。？])(?:喂+|喂?(?:您|你|你们|同志|师傅|领导)好)$")
_NO_GREETING = re.compile(r"[像多不好几久吃说]")  # 你好像, 你好多
_CONNECTS = re.compile(r"但是|可是|不过|所以|因为|而且|并且|然后|结果|如果|要是|假如|另外|后来|请问")
_CONNECTED = re.compile(r"(?:是|不|就|也|我|你|他|想|在)$")
_OPENS = re.compile(
    r"但|还有[^几多]|请你|麻烦|希望|谢谢|现在|到现在|"
    r"已经|一直|到底|应该|能不能|可不可以|有没有|是不是|要不要|还能|都需要|我们?[^的]|他们?(?:就|说|又|让|不|没)|你们?[^的好]|"
    r"也|还是|商家|物业|老板|老人|孩子|大家|等到|差点|找过|把|谁都|那我|这要"
)
_WHOLE = re.compile(
    r"^(?:好的?|是的?|对|行|嗯|另外|还有|是这样的?|谢谢|好吧|那好吧?|没有|不是|不用)$"
)  # clauses by themselves
_SUBJECT = re.compile(r"我|你|您|他|她|请|麻烦|谢谢|希望|另外|还有|现在|这个|这件|那|是这样")
_GOES_ON = re.compile(r"但|可是|不过|所以|因为|而且|并且|然后|结果|也|就|都|才|却|又|还是|再")
_ENDED = re.compile(r"(?:[了吧呢吗啊呀嘛]|谢谢|一下|问题|情况|再见)$")
_HANGS_ON = re.compile(r"[了着过吗呢吧呀们个得地的]")
_UNFINISHED = re.compile(
    r"(?:[在把被跟和与是从到向给对很太最更不没就都也还又再才我你您他她这那一每几个有想要姓只能会让叫比按以]|"
    r"我们|你们|他们|那个|这个|就是|因为|所以|但是|如果|而且|一直|已经|应该|特别|非常|怎么|什么)$"
)
_OPEN_END = re.compile(r"(?:因为|所以|但是|可是|如果|而且|然后|还有|[把被跟和从向])$")
_NUMERAL = re.compile(r"[零〇幺一二两三四五六七八九十百千万0-9]")
_ASKS = re.compile(
    r"吗$|怎么(?!也|都)|为什么|为啥|什么(?!的|都|也)|多少|多久|多长时间|多大|哪(?!怕|都|里都|儿都)|几(?:点|号|楼|层|路|岁)|谁(?!都|也)|"
    r"咋|是否|是不是|能不能|可不可以|有没有|行不行|对不对|好不好|要不要|该不该|会不会|管不管|让不让|"
    r"(?:可以|能|行|对|是|会|有)么$|(?:怎么|什么|哪|谁|几|多少).*呢$"
)
_ASKED = re.compile(r"请问|问一下|到底")
_TELLS = re.compile(
    r"不知道|不清楚|不懂|想知道|想了解|想咨询|想查|无论|(?<!管)不管|查一下|看一下|告诉|反映|没有?什么|好几|不晓得"
)


def marks(words: Sequence[Word]) -> tuple[str, ...]:
    """The mark after each word, empty where there is none; the last word always has one."""
    out: list[str] = []
    text = ""  # of the sentence so far, with its marks
    for index, word in enumerate(words):
        text += word.text
        if index + 1 < len(words):
            after = "".join(each.text for each in words[index + 1 : index + 7])
            mark = _between(text, after, words[index + 1].start_ms - word.end_ms)
        else:
            mark = COMMA if _OPEN_END.search(text) else _end(text)
        out.append(mark)
        text = "" if mark in (STOP, QUESTION) else text + mark
    return tuple(out)


def _between(before: str, after: str, gap_ms: int) -> str:
    """The mark between what a sentence has had so far and what comes next."""
    clause = re.split(COMMA, before)[-1]
    if _GREETING.search(before) and not _NO_GREETING.match(after):
        return COMMA
    share = min(gap_ms / COMMA_MS, MAX_SHARE)
    if share + _for_mark(clause, after) < 1:
        return ""
    if _NUMERAL.match(before[-1]) and _NUMERAL.match(after):
        return COMMA
    if clause.endswith("吗"):
        return QUESTION
    return _end(before) if gap_ms / STOP_MS + _for_stop(before, after) >= 1 else COMMA


def _for_mark(clause: str, after: str) -> float:
    score = 0.0
    if _HANGS_ON.match(after):
        score -= 0.8
    if _WHOLE.match(clause):
        return score + 0.5
    if _CONNECTS.match(after) and not _CONNECTED.search(clause):
        score += 0.7
    elif _UNFINISHED.search(clause):
        score -= 0.6
    elif _OPENS.match(after):
        score += 0.5
    if _ENDED.search(clause):
        score += 0.6 if clause.endswith("吗") else 0.3
    if len(clause) < 3:
        score -= 0.3
    return score + min(0.4, max(0, len(clause) - 12) * 0.05)


def _for_stop(before: str, after: str) -> float:
    score = 0.0
    if _UNFINISHED.search(before):
        score -= 0.6
    if _ENDED.search(before):
        score += 0.1
    if _GOES_ON.match(after):
        score -= 0.4
    elif _SUBJECT.match(after):
        score += 0.15
    if len(before) < 5:
        score -= 0.4
    return score


def _end(sentence: str) -> str:
    """The mark that ends a sentence."""
    *before, clause = sentence.split(COMMA)
    asked = _ASKED.search(sentence) is not None
    if not asked and before and len(clause) <= TAIL and not _SUBJECT.match(clause):
        clause = before.pop() + clause  # a pause inside the question
    place = sentence if asked else clause
    if not _ASKS.search(place):
        return STOP
    told = _TELLS.search(clause) or (before and not _ASKS.search(before[-1]) and _TELLS.search(before[-1]))
    return STOP if told and not asked else QUESTION
