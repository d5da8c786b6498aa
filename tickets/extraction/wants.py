"""What the caller wants done or told: the clause of the demand, without what is polite around it. Pure."""

import re

from asr.fillers import without_fillers
from asr.punctuation import marks
from tickets.extraction.finding import Finding
from tickets.speech import BREAK, Speech

MAX_LENGTH = 40
MIN_LENGTH = 3
# What opens a demand, the plainest first; what is left out of it is in the group `cut`.
_OPENS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<cut>我们?的(?:诉求|要求|诉求就|要求就)(?:就)?是|(?:我们?)?(?:就是|就)?(?:希望|要求|请求|恳请|"
        r"恳求|诉求是)(?:能够|能|你们能|你们|可以|咱们|政府|"
        r"有关部门|相关部门)*)",
        r"(?P<cut>(?:麻烦|请|拜托)(?:您|你|你们|咱们|有关部门|相关部门|领导|政府)*(?!问|讲|说|稍|等|记)(?:能不能|能)?)",
        r"(?P<cut>(?:你们|您|你|咱们|政府|有关部门)?(?:能不能|可不可以|能否|是否可以|可以不可以)(?:给我们?|"
        r"帮我们?|帮忙|派人|尽快|赶紧|让)?)",
        r"(?P<cut>我们?(?:就)?(?:想让|想要|要让|想叫|就要|要求|申请)(?:你们|他们)?)",
        r"(?P<cut>(?:我们?)?(?:想|要)?(?:咨询|问|打听|了解|查询|查)(?:一下|下)(?!吧|的|我的名字)|请问(?:一下)?|"
        r"想问问?)",
        r"(?P<cut>我们?(?:想)?建议)",
    )
)
_ENDS = re.compile(r"谢谢|我的(?:电话|名字|手机)|联系(?:电话|方式)|就这样|好吧|再见|麻烦了|拜托了|我姓|我叫|打扰")
_KEPT = ("给我们", "帮我们", "给我", "帮我", "帮忙", "派人", "尽快", "赶紧", "让")
_TAIL = re.compile(r"[，。？！、\s]+$|(?:可以吗|行吗|好吗|行不行|好不好|吧|呢|啊|呀)$")
_POLITE = re.compile(r"^(?:你们|您|你|咱们|一下|有关部门|相关部门|政府|能够|能|可以)+")


def find_wants(speech: Speech) -> list[Finding]:
    """`wants`: the first clause of the plainest kind, in the caller's words; at most 40 characters."""
    ends = _clause_ends(speech)
    for rank, opening in enumerate(_OPENS):
        for match in opening.finditer(speech.text):
            end = _end(speech.text, match, ends)
            said = speech.text[_start(match) : end].replace(BREAK, "，")
            value = _shortened(said)
            if len(value) >= MIN_LENGTH:
                span = speech.span(match.start(), end)
                return [Finding("wants", value, "transcript", round(0.85 - 0.05 * rank, 2), span)]
    return []


def _start(match: re.Match[str]) -> int:
    """After what is cut, but with what belongs to the deed."""
    cut = match["cut"]
    kept = next((word for word in _KEPT if cut.endswith(word)), "")
    return match.end("cut") - len(kept)


def _clause_ends(speech: Speech) -> list[int]:
    """Where a mark would stand in the text people read."""
    ends, at = [], 0
    for segment in speech.segments:
        for word, mark in zip(segment.words, marks(segment.words), strict=True):
            at += len(word.text)
            if mark:
                ends.append(at)
        at += len(BREAK)
    return ends


def _end(text: str, match: re.Match[str], ends: list[int]) -> int:
    """The clause's end; a short one takes the next clause along."""
    limit = min(len(text), match.end() + MAX_LENGTH)
    closing = _ENDS.search(text, match.end(), limit)
    stop = closing.start() if closing else limit
    within = [end for end in ends if match.end() + 6 <= end <= stop]
    end = within[0] if within else stop
    while end > match.end() and text[end - 1] == BREAK:
        end -= 1
    return max(end, match.end())


def _shortened(said: str) -> str:
    value = without_fillers(said)
    for pattern in (_POLITE, _TAIL, _TAIL):
        value = pattern.sub("", value)
    return value.strip("，。？！ ")[:MAX_LENGTH]
