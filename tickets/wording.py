"""What texts have in common: pairs of characters, without what every caller says. Pure."""

import re
import unicodedata

from asr.personal import find_numbers

LENGTH = 2_000  # characters of a text that are looked at: the matter stands at its beginning
# What says nothing of the matter. Longer phrases first: a shorter one must not leave a rest of them.
_SAID_BY_ALL = (
    "可不可以 相关部门 有关部门 相关单位 有关单位 给个答复 诉求人 来电人 没有人 能不能 来看看 为什么 尊敬的 您好 你好 "
    "麻烦 谢谢 请问 请求 恳请 恳求 强烈 尽快 希望 领导 处理 解决 反映 投诉 咨询 求助 市民 居民 来电 一下 这个 那个 "
    "我们 你们 他们 我想 我要 我是 就是 然后 现在 已经 一直 可以 怎么 什么 问题 情况 帮忙 派人 看看 答复 回复 核实 "
    "要求 建议 给予 落实 协调 喂 我 的 了 是 在 和 与 及 也 都 就 你 您 他 她 呢 吗 吧 啊 嗯 呃 请 被 把 让 给 但 而 且"
)
_FILLERS = re.compile(_SAID_BY_ALL.replace(" ", "|"))
_BREAKS = re.compile(r"[^0-9a-z\u4e00-\u9fff]+")


def plain(text: str) -> str:
    """`text` in one form: NFKC, lower case, pieces between punctuation divided by newlines; personal numbers and what
    everybody says taken out."""
    text = unicodedata.normalize("NFKC", text[:LENGTH])
    kept, at = [], 0
    for number in find_numbers(text):
        kept.append(text[at : number.start])
        at = number.end
    text = "\n".join([*kept, text[at:]]).lower()
    return _BREAKS.sub("\n", _FILLERS.sub("\n", text)).strip("\n")


def pairs(text: str) -> frozenset[str]:
    """The pairs of neighbouring characters of a `plain` text."""
    return frozenset(piece[at : at + 2] for piece in text.split("\n") for at in range(len(piece) - 1))


def common_pieces(one: str, other: str, *, shortest: int = 3, most: int = 3) -> list[str]:
    """The longest pieces that two `plain` texts share, none within another, in the order of `one`."""
    found: list[str] = []
    for piece in one.split("\n"):
        at = 0
        while at + shortest <= len(piece):
            end = at + shortest
            if piece[at:end] not in other:
                at += 1
                continue
            while end < len(piece) and piece[at : end + 1] in other:
                end += 1
            found.append(piece[at:end])
            at = end
    longest = sorted(dict.fromkeys(found), key=len, reverse=True)[:most]
    return [piece for piece in dict.fromkeys(found) if piece in longest]
