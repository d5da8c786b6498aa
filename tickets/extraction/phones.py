"""The caller's telephone numbers: told, put right, read back by the seat. Pure.

Numbers of other people, and those that are said not to work any more, are none of the caller's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ivr.access.numbers import NumberKind, normalise
from tickets.extraction.finding import Finding
from tickets.extraction.telling import Told, correction, resolve, tellings
from tickets.speech import BREAK, Span, Speech

READ_BACK = 0.97
DENIED = 0.5
BEFORE, AFTER = 22, 14  # characters around a number that say whose it is
REPLY_MS = 8_000  # within which the caller answers a number that is read back

_MOBILE = re.compile(r"(?:86)?(1[3-9][0-9]{9})")
_AREA = re.compile(r"0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}")
_LOCAL = re.compile(r"[2-8][0-9]{6,7}")
_CALLER_ID = re.compile(r"\+?[0-9]{3,20}")
_SEPARATORS = re.compile(r"[\s()-]")
_CUE = re.compile(r"电话|座机|固话|号码|打给|拨打|联系|致电|回电|手机")
_THEIRS = re.compile(
    r"(?:他|她|它|对方|物业|老板|商家|店家|房东|司机|包工头|工头|负责人|经理|中介|师傅|邻居|客服|开发商|施工方|"
    r"施工队|公司|快递员?|村长|书记|厂家|售后)"
    r"(?:们|人)?(?:家|公司|办公室)?的?(?:那?个)?(?:联系)?(?:电话|手机|座机|号码|联系方式)|举报的?(?:电话|号码|"
    r"手机)|骚扰|诈骗|打过来的|给我打电话的"
)
_MINE = re.compile(
    r"我的?(?:电话|手机|号码|座机|联系方式|联系电话)|联系我|打给我|回我|我这个|本人|打这个|打我|我家的?(?:电话|"
    r"座机|固话)"
)
_OLD = re.compile(r"(?:以前|原来|旧|之前|原先)的?(?:那?个)?(?:电话|手机|号码?|是)")
_OUT_OF_USE = re.compile(
    r"(?:这|那)?个?(?:号码?|电话)?(?:已经)?(?:不用了|停机|打不通|注销|作废|换掉了|没人接|空号|停用|不能用)"
)
_EXTENSION = re.compile(r"(?:，|\s)?(?:转|分机号?(?:是)?)[，\s]?(?P<digits>[0-9零〇洞幺一二两三四五六七拐八九勾]{2,6})")
_YES = re.compile(r"^[嗯啊哎，\s]*(?:对|是的?|没错|嗯+|好的?|正确)(?!不)")
_NO = re.compile(r"^[嗯啊哎，\s]*(?:不对|不是|错了|没有)")
_DIGIT_OF = dict(zip("零〇洞幺一二两三四五六七拐八九勾", "0001122345677899", strict=True))


@dataclass(frozen=True)
class Phone:
    """A number and how sure it is the caller's. `rank`: 2 said to be, 1 not said to be another's."""

    number: str
    rank: int
    confidence: float
    source: str
    span: Span


def find_phones(speech: Speech, seat: Speech, *, caller_id: str, area_code: str = "") -> list[Finding]:
    """`phone`, and where they were said `phone_extension` and `other_phones`; the calling number where none was."""
    told = _merge([*_told(speech, area_code), *_read_back(speech, seat)])
    if not told:
        number = _SEPARATORS.sub("", caller_id)
        return [Finding("phone", number, "caller_id", 1.0)] if _CALLER_ID.fullmatch(number) else []
    best = max(told, key=lambda phone: phone.rank)
    others = [phone for phone in told if phone.number != best.number]
    found = [Finding("phone", best.number, best.source, best.confidence, best.span)]
    extension = _EXTENSION.search(speech.text)
    suffix = ""
    if extension and not all(_MOBILE.fullmatch(phone.number) for phone in told):
        suffix = _digits(extension["digits"])
        if not _MOBILE.fullmatch(best.number):
            found.append(Finding("phone_extension", suffix, "transcript", 0.8, speech.span(*extension.span("digits"))))
    if others:
        numbers = "、".join(_with_extension(phone.number, suffix) for phone in others)
        found.append(Finding("other_phones", numbers, others[0].source, others[0].confidence, others[0].span))
    return found


def _with_extension(number: str, extension: str) -> str:
    return number if not extension or _MOBILE.fullmatch(number) else f"{number}转{extension}"


def _told(speech: Speech, area_code: str) -> Iterator[Phone]:
    """The numbers that the caller told, in order."""
    for parts in tellings(speech.text):
        cued = bool(_CUE.search(speech.text, max(0, parts[0].start - BEFORE), parts[0].start))
        numbers = resolve(parts, lambda digits: is_mobile(digits) or is_landline(digits))
        if not numbers and cued:
            numbers = resolve(parts, lambda digits: is_local(digits, area_code))
        for each in numbers:
            rank = _rank(speech.text, each, multiple=len(numbers) > 1)
            if rank:
                number = _number(each.digits, area_code)
                yield Phone(number, rank, _confidence(each, number), "transcript", speech.span(each.start, each.end))


def _read_back(speech: Speech, seat: Speech) -> Iterator[Phone]:
    """The numbers that the seat read to the caller, who answered."""
    for parts in tellings(seat.text):
        for each in resolve(parts, is_mobile):
            span = seat.span(each.start, each.end)
            reply = speech.first_after(span.end_ms)
            if reply is None or speech.span(reply, reply + 1).start_ms > span.end_ms + REPLY_MS:
                continue
            answer = speech.text[reply : reply + AFTER]
            mended = resolve(correction(speech.text, reply), is_mobile, before=each.digits)
            if mended:
                yield Phone(_number(mended[-1].digits, ""), 3, READ_BACK, "seat", span)
            elif _YES.match(answer) and not _NO.match(answer):
                yield Phone(_number(each.digits, ""), 3, READ_BACK, "seat", span)


def _merge(phones: list[Phone]) -> list[Phone]:
    """Each number once; told by the caller and read back, it is the caller's evidence and surer."""
    merged: dict[str, Phone] = {}
    for phone in phones:
        known = merged.get(phone.number)
        if known is None:
            merged[phone.number] = phone
        else:
            rank, confidence = max(known.rank, phone.rank), max(known.confidence, phone.confidence, 0.95)
            merged[phone.number] = replace(known, rank=rank, confidence=confidence)
    return list(merged.values())


def _rank(text: str, told: Told, *, multiple: bool) -> int:
    """2 for the caller's own, 0 for another's or one out of use."""
    before = (
        text[max(0, told.start - BEFORE) : told.start].rpartition(BREAK)[2]
        or text[max(0, told.start - BEFORE) : told.start]
    )
    theirs, mine, old = (_last(pattern, before) for pattern in (_THEIRS, _MINE, _OLD))
    if _OUT_OF_USE.match(text[told.end : told.end + AFTER].lstrip("，。 \n")):
        return 0
    if max(theirs, old) > mine:
        return 0
    return 2 if mine >= 0 else 1


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def _confidence(told: Told, number: str) -> float:
    """Less for one of a range that nobody has been given, as far as is known."""
    known = normalise(number).kind in (NumberKind.MOBILE, NumberKind.LANDLINE)
    return round(told.confidence * (1 if known else 0.7), 2)


def is_mobile(digits: str) -> bool:
    return bool(_MOBILE.fullmatch(digits))


def is_landline(digits: str) -> bool:
    """With its area code."""
    return bool(_AREA.fullmatch(digits)) and normalise(digits).kind is NumberKind.LANDLINE


def is_local(digits: str, area_code: str) -> bool:
    """Without one."""
    if not _LOCAL.fullmatch(digits):
        return False
    return not area_code or normalise(area_code + digits).kind is NumberKind.LANDLINE


def _number(digits: str, area_code: str) -> str:
    mobile = _MOBILE.fullmatch(digits)
    if mobile:
        return mobile[1]
    return area_code + digits if area_code and not digits.startswith("0") else digits


def _digits(spoken: str) -> str:
    return "".join(_DIGIT_OF.get(character, character) for character in spoken)
