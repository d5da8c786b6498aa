"""From pinyin to the phones of the voice: an initial and a final with its tone for every syllable.

The notation is that of the Biaobei corpus: `^` is the empty initial, `ii` the vowel of zi, `iii` that of zhi, `v` is ü.
"""

import re

SILENCE = "sil"
EMPTY_INITIAL = "^"
INITIALS = (
    *("zh", "ch", "sh"),
    *("b", "p", "m", "f", "d", "t", "n", "l", "g", "k", "h", "j", "q", "x", "r", "z", "c", "s"),
)
FINALS = (
    *("a", "ai", "an", "ang", "ao", "e", "ei", "en", "eng", "er", "i", "ia", "ian", "iang", "iao", "ie", "ii", "iii"),
    *("in", "ing", "iong", "iou", "o", "ong", "ou", "u", "ua", "uai", "uan", "uang", "uei", "uen", "ueng", "uo"),
    *("v", "van", "ve", "vn"),
)
TONES = "12345"
HALVES = ("<", ">")
"""A final is two phones, its halves: so 九九 cannot pass for one long 九, however weak the second initial sounds."""
PHONES = (
    SILENCE,
    EMPTY_INITIAL,
    *INITIALS,
    *(final + tone + half for final in FINALS for tone in TONES for half in HALVES),
)
"""Index = output of the acoustic model; silence is 0."""
PHONE_INDEX = {phone: index for index, phone in enumerate(PHONES)}
PINYIN = re.compile(r"([a-zü]+?)([1-5])")
SPELLED_SHORT = {"iu": "iou", "ui": "uei", "un": "uen", "ue": "ve"}
HUMMED = {"n": "en", "ng": "en", "m": "en"}


def split_syllable(pinyin: str) -> tuple[str, str]:
    """`zhuang4` as (`zh`, `uang4`). Raises ValueError for what is no syllable of the voice."""
    match = PINYIN.fullmatch(pinyin.replace("ü", "v"))
    if not match:
        raise ValueError(f"{pinyin!r} is no pinyin syllable with a tone")
    spelling, tone = HUMMED.get(match[1], match[1]), match[2]
    initial = next((initial for initial in INITIALS if spelling.startswith(initial)), "")
    final = spelling.removeprefix(initial)
    if not initial:
        initial, final = EMPTY_INITIAL, _without_initial(spelling)
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]
    elif final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        final = "ii" if initial in ("z", "c", "s") else "iii"
    final = SPELLED_SHORT.get(final, final)
    if final not in FINALS:
        raise ValueError(f"{pinyin!r} is no syllable of the voice")
    return initial, final + tone


def phones_of_syllable(pinyin: str) -> tuple[str, str, str]:
    """`zhuang4` as (`zh`, `uang4<`, `uang4>`)."""
    initial, final = split_syllable(pinyin)
    return initial, final + HALVES[0], final + HALVES[1]


def _without_initial(spelling: str) -> str:
    if spelling in ("yo", "you"):
        return "iou"
    if spelling.startswith("yu"):
        return "v" + spelling[2:]
    if spelling.startswith("yi"):
        return spelling[1:]
    if spelling.startswith("y"):
        return "i" + spelling[1:]
    if spelling.startswith("wu"):
        return spelling[1:]
    if spelling.startswith("w"):
        return "u" + spelling[1:]
    return spelling
