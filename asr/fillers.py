"""Fillers (嗯, 那个，), stutters (我我我) and false starts, hidden where a reader wants it. Pure.

A display option only: nothing is ever taken out of a transcript. 那个 and 这个 are fillers only where they stand alone
or twice; a sentence that is nothing else (an answer: 嗯。) is no filler.
"""

import re

_MARKS = "，。？！"
_BEGIN = rf"(?:^|(?<=[{_MARKS}]))"
_ALONE = rf"(?=[{_MARKS}]|$)"
_REPEATED = (
    "因为|所以|但是|我们|他们|你们|咱们|就是|然后|现在|已经|这个|那个|应该|[我你您他她就这那是在有把被跟都也还又会能从]"
)
_STARTS = "我你您他她这那就是的在有因为所以但们"  # a false start has one of them; 研究研究 has none
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[嗯呃唔]+",
        rf"{_BEGIN}[啊哎诶额呀]+(?=，|我|你|他|那|就)",
        rf"{_BEGIN}(?:那个|这个|就是|然后|就是说|怎么[说讲]呢|怎么[说讲])+{_ALONE}",
        rf"{_BEGIN}就是说(?=[我你他她这那]|因为|有)",
        r"(?:那个){2,}(?=[我你他就想要是]|，)|(?:这个){2,}(?=[我你他就想要是]|，)",
        rf"(?P<word>{_REPEATED})(?:，?(?P=word))*，?(?=(?P=word)(?!(?P=word))[\u4e00-\u9fff])",
        rf"(?=[\u4e00-\u9fff]{{0,5}}[{_STARTS}])(?P<start>[\u4e00-\u9fff]{{2,6}})，?(?=(?P=start))",
    )
)


def fillers(text: str) -> tuple[tuple[int, int], ...]:
    """Where `text`, as people read it, has fillers: spans in order, none touching another, with their commas."""
    hidden = bytearray(len(text))
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            start, end = found.span()
            if "start" in pattern.groupindex and not set(found["start"]) & set(_STARTS):
                continue
            hidden[start:end] = b"\1" * (end - start)
    _commas(text, hidden)
    _whole_sentences(text, hidden)
    return tuple(found.span() for found in re.finditer(b"\1+", bytes(hidden)))


def without_fillers(text: str) -> str:
    """`text` without them."""
    out, at = "", 0
    for start, end in fillers(text):
        out, at = out + text[at:start], end
    return out + text[at:]


def _commas(text: str, hidden: bytearray) -> None:
    """Hides the comma that belongs to a filler: the one after it, at a sentence's end the one before."""
    for found in list(re.finditer(b"\1+", bytes(hidden))):
        start, end = found.span()
        if start and text[start - 1] not in _MARKS:
            continue
        if text[end : end + 1] == "，":
            hidden[end] = 1
        elif end == len(text) or text[end] in _MARKS:
            before = start - 1
            while before > 0 and hidden[before]:
                before -= 1
            if before >= 0 and text[before] == "，":
                hidden[before] = 1


def _whole_sentences(text: str, hidden: bytearray) -> None:
    """Shows a sentence of which nothing would be left."""
    for sentence in re.finditer(r"[^。？！]+", text):
        start, end = sentence.span()
        if all(hidden[at] or text[at] == "，" for at in range(start, end)):
            hidden[start:end] = bytes(end - start)
