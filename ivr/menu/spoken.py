"""Which answer a caller gave in words: phrases that a flow lists, and care with Chinese negation.

Negation stands before what it denies (没解决, 不太满意), so a phrase must not be found inside its own denial. The text
is read from left to right, the longest phrase first; what is left over must not hold a negation that could turn the
answer.
"""

import re
from collections.abc import Mapping

_NOISE = re.compile(r"[^\w]|[嗯啊呃哦噢呀吧嘛呢哎唉诶]")
_QUESTION = re.compile(r"(\w{1,2})[不没]\1")  # 有没有, 满意不满意: the caller asks back
_NEGATIONS = frozenset("不没未")
_GAP = " "  # where a phrase stood


def spoken_answer(text: str, phrases: Mapping[str, tuple[str, ...]]) -> str | None:
    """The answer that `text` means; None where it means none, or may mean several.

    `phrases`: answer -> what stands for it. A phrase of one character (有, 对) counts only where it is all that was
    said. A negation right before a phrase makes the text doubtful, and anywhere else does so unless a phrase that was
    found is itself a denial.
    """
    said = _NOISE.sub("", text)
    known = {_NOISE.sub("", phrase) or phrase: answer for answer, listed in phrases.items() for phrase in listed}
    if said in known:
        return known[said]
    longest_first = sorted((phrase for phrase in known if len(phrase) > 1), key=len, reverse=True)
    if not longest_first or _QUESTION.search(said):
        return None
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    found = pattern.findall(said)
    rest = pattern.sub(_GAP, said)
    answers = {known[phrase] for phrase in found}
    denied = re.search(rf"[{''.join(_NEGATIONS)}]\w?{_GAP}", rest)
    denial = any(_NEGATIONS.intersection(phrase) for phrase in found)
    if len(answers) != 1 or denied or (not denial and _NEGATIONS.intersection(rest)):
        return None
    return answers.pop()
