"""When it happened: days and hours, since when or for how long, how often. Relative to the time of the call. Pure.

`event_time` is written as far as it was told (2026-01-04 20:00, 2026-01-04 晚上, 2026-01), in the site's zone.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from asr.figures import number
from tickets.extraction.finding import Finding
from tickets.speech import Speech

TOLD_BEFORE = 10  # characters behind a time in which 反映 says that it is no event
_N = r"[零〇一二两三四五六七八九十百0-9]+"
_DAYS = {
    "大前天": -3,
    "前天": -2,
    "昨天": -1,
    "昨日": -1,
    "昨儿": -1,
    "昨晚": -1,
    "昨夜": -1,
    "今天": 0,
    "今日": 0,
    "今儿": 0,
    "今早": 0,
    "今晚": 0,
    "当天": 0,
}
_PARTS = {
    "凌晨": 0,
    "清晨": 6,
    "早上": 8,
    "早晨": 8,
    "上午": 9,
    "中午": 12,
    "下午": 15,
    "傍晚": 18,
    "晚上": 20,
    "夜里": 23,
    "半夜": 0,
    "夜间": 23,
    "深夜": 23,
    "今早": 8,
    "昨晚": 20,
    "昨夜": 23,
    "今晚": 20,
}
_PART = "|".join(
    ("凌晨", "清晨", "早上", "早晨", "上午", "中午", "下午", "傍晚", "晚上", "夜里", "半夜", "夜间", "深夜")
)
_CLOCK = rf"(?P<hour>{_N})(?:点|[:：](?=[0-9]))(?:钟|整)?(?:(?P<half>半)|(?P<quarter>[一三])刻|(?P<minute>{_N})分?)?"
_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))
_WHEN = re.compile(
    rf"(?:(?P<day>{_DAY})|(?P<weeks>上上?个?|这个?|本)(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天末])|"
    rf"(?:(?P<year>[零〇一二三四五六七八九0-9]{{2,4}})年|(?P<near_year>今年|去年|"
    rf"前年))?(?:的)?(?:(?P<month>{_N})月(?:份)?|"
    rf"(?P<near_month>上个?月|这个?月|本月))(?P<mday>{_N})[号日]|(?P<only_mday>{_N})[号日](?!楼|院|线|门|晚|店))"
    rf"(?:的)?(?P<part>{_PART})?(?:的)?(?:{_CLOCK})?"
)
_MONTH = re.compile(
    rf"(?:(?P<year>[零〇一二三四五六七八九0-9]{{2,4}})年|(?P<near_year>今年|去年|"
    rf"前年))(?:的)?(?:(?P<month>{_N})月(?:份)?)?(?!{_N}[号日])|(?P<near_month>上个?月|上月)(?!{_N}[号日])"
)
_TODAY = re.compile(rf"(?<!每天)(?<!天天)(?P<part>{_PART})(?:{_CLOCK})")
_AGO = re.compile(rf"(?P<n>半|{_N})(?:个)?(?P<half>半)?(?P<unit>分钟|小时|钟头|天|星期|周|礼拜|月|年)(?:以|之)?前")
_JUST = re.compile(r"刚刚|刚才(?!说|我说|那个)|就在刚才")
_FOR = re.compile(
    rf"(?:(?:已经|都|有|停了|断了|坏了|等了|拖了|拖欠了?|欠了|连续|持续|整整|快|将近|大概|差不多|"
    rf"好(?=几))+)(?P<about>[大多有差不多将近快]*)(?P<n>好?几|半|{_N}|"
    rf"两三|三四|四五|十几|十来|上)(?P<more>多|来)?(?:个)?(?P<more2>多|半)?(?P<unit>分钟|小时|钟头|天|星期|"
    rf"礼拜|周|月|年)(?P<more3>多)?(?=了|没|"
    rf"都|一直|还|无|不|，|\n|$|的)"
)
_UNIT_LE = re.compile(
    rf"(?P<about>)(?P<n>好?几|半|两三|三四|四五|{_N}|十几)(?P<more>多|来)?(?:个)?(?P<more2>多|半)?(?P<unit>小时|天|星期|礼拜|"
    rf"周|月|年)(?P<more3>多)?了"
)
_SINCE = re.compile(r"^(?:的时候)?(?:开始|起|以来|之后就|以后就|就一直|到现在)")
_FROM = re.compile(r"(?:从|自从|自)$")
_EVERY = re.compile(
    rf"(?:每天|天天|每日|每晚|天天晚上|每周|每个?星期|每到|一到)(?:的)?(?P<what>(?:{_PART}|周末|"
    rf"周[一二三四五六日]|下雨天?|雨天|冬天|夏天|节假日|上下班|早晚高峰|"
    rf"高峰期?)?)(?:的)?(?:{_CLOCK}(?:[到至]{_N}点)?)?"
)
_TOLD = re.compile(r"[\s就也已经我们给你你们还又曾]*(?:刚?打过?|反映|投诉|来过|说过|打了|打电话|报修|举报|咨询)")
_UNIT_DAYS = {
    "分钟": 1 / 1440,
    "小时": 1 / 24,
    "钟头": 1 / 24,
    "天": 1,
    "星期": 7,
    "周": 7,
    "礼拜": 7,
    "月": 30,
    "年": 365,
}
_UNIT_NAMES = {
    "钟头": "小时",
    "星期": "周",
    "礼拜": "周",
    "月": "个月",
    "小时": "小时",
    "天": "天",
    "周": "周",
    "年": "年",
    "分钟": "分钟",
}
_WEEKDAYS = {sign: at for at, sign in enumerate("一二三四五六日")} | {"天": 6, "末": 5}


@dataclass(frozen=True)
class _Moment:
    """As exact as it was told. `part`: 晚上 where no hour was told."""

    day: date
    part: str = ""
    hour: int | None = None
    minute: int = 0
    scale: str = "day"  # or month, year

    def __str__(self) -> str:
        if self.scale != "day":
            return self.day.strftime("%Y-%m" if self.scale == "month" else "%Y")
        if self.hour is not None:
            return f"{self.day.isoformat()} {self.hour:02}:{self.minute:02}"
        return f"{self.day.isoformat()} {self.part}".strip()


def find_times(speech: Speech, now: datetime) -> list[Finding]:
    """`event_time`, `since` (which days, or how long) and `recurring`; `now` in the site's zone."""
    text = speech.text
    found: dict[str, Finding] = {}
    taken: list[tuple[int, int]] = []
    for match in _EVERY.finditer(text):
        value = match.group().replace("\n", "")
        if len(value) > 2 or value in ("每晚", "天天", "每天", "每日"):
            _note(found, "recurring", _figures(value), 0.85, match.span(), speech)
            taken.append(match.span())
    for match, moment, confidence in _moments(text, now):
        start, end = match.span()
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            continue
        if _TOLD.match(text[end : end + TOLD_BEFORE]):
            continue
        taken.append((start, end))
        since = _SINCE.match(text, end) or _SINCE.match(text[end : end + 8]) or _FROM.search(text[:start])
        _note(found, "since" if since else "event_time", str(moment), confidence, (start, end), speech)
    for pattern, confidence in ((_FOR, 0.8), (_UNIT_LE, 0.7)):
        for match in pattern.finditer(text):
            if not any(match.start() < end and start < match.end() for start, end in taken) and "since" not in found:
                value = _duration(match, now)
                if value:
                    _note(found, "since", value, confidence, match.span(), speech)
    return list(found.values())


def _note(
    found: dict[str, Finding], field: str, value: str, confidence: float, span: tuple[int, int], speech: Speech
) -> None:
    """The first of a field counts, but a more exact one more."""
    known = found.get(field)
    if known is None or (field == "event_time" and len(value) > len(known.value) and known.value[:7] == value[:7]):
        found[field] = Finding(field, value, "transcript", confidence, speech.span(*span))


def _moments(text: str, now: datetime) -> list[tuple[re.Match[str], _Moment, float]]:
    found: list[tuple[re.Match[str], _Moment, float]] = []
    for match in _WHEN.finditer(text):
        moment = _when(match, now)
        if moment is not None and moment.day <= now.date():
            found.append((match, moment, 0.9))
    for match in _MONTH.finditer(text):
        month = _month(match, now)
        if month is not None:
            found.append((match, month, 0.8))
    for match in _AGO.finditer(text):
        ago = _ago(match, now)
        if ago is not None:
            found.append((match, ago, 0.8))
    for match in _JUST.finditer(text):
        found.append((match, _Moment(now.date(), "", now.hour, now.minute), 0.6))
    for match in _TODAY.finditer(text):
        today = _clock(match, _Moment(now.date(), match["part"]))
        known = any(other.start() <= match.start() < other.end() for other, _, _ in found)
        if today is not None and not known and (today.day, today.hour or 0) <= (now.date(), now.hour):
            found.append((match, today, 0.5))
    return sorted(found, key=lambda item: (item[0].start(), -item[0].end()))


def _when(match: re.Match[str], now: datetime) -> _Moment | None:
    day = _day(match, now.date())
    if day is None:
        return None
    part = match["part"] or {"昨晚": "晚上", "昨夜": "夜里", "今早": "早上", "今晚": "晚上"}.get(match["day"] or "", "")
    return _clock(match, _Moment(day, part))


def _day(match: re.Match[str], today: date) -> date | None:
    if match["day"]:
        return today + timedelta(days=_DAYS[match["day"]])
    if match["weekday"]:
        monday = today - timedelta(days=today.weekday())
        back = 14 if match["weeks"].startswith("上上") else 7 if match["weeks"].startswith("上") else 0
        return monday + timedelta(days=_WEEKDAYS[match["weekday"]] - back)
    if match["only_mday"]:
        mday = _value(match["only_mday"])
        day = _valid(today.year, today.month, mday)
        if day is not None and day > today:
            last = today.replace(day=1) - timedelta(days=1)
            return _valid(last.year, last.month, mday)
        return day
    year, month = _year(match, today), today.month
    if match["near_month"]:
        if match["near_month"].startswith("上"):
            last = today.replace(day=1) - timedelta(days=1)
            year, month = last.year, last.month
    else:
        month = _value(match["month"])
    day = _valid(year, month, _value(match["mday"]))
    if day is not None and day > today and not match["year"] and not match["near_year"]:
        return _valid(year - 1, month, day.day)
    return day


def _month(match: re.Match[str], now: datetime) -> _Moment | None:
    today = now.date()
    if match["near_month"]:
        return _Moment(today.replace(day=1) - timedelta(days=1), scale="month")
    if not match["month"]:
        return _Moment(date(_year(match, today), 1, 1), scale="year") if match["near_year"] != "今年" else None
    first = _valid(_year(match, today), _value(match["month"]), 1)
    return _Moment(first, scale="month") if first is not None and first <= today else None


def _year(match: re.Match[str], today: date) -> int:
    if match["near_year"]:
        return today.year - ("今年", "去年", "前年").index(match["near_year"])
    if not match["year"]:
        return today.year
    digits = int(
        "".join(
            str("零一二三四五六七八九".find("零" if sign == "〇" else sign)) if not sign.isdigit() else sign
            for sign in match["year"]
        )
    )
    return digits if digits >= 1000 else 2000 + digits if digits <= today.year % 100 else 1900 + digits


def _clock(match: re.Match[str], moment: _Moment) -> _Moment | None:
    """With the hour, told by twelve; night hours after midnight belong to the next day."""
    if not match["hour"]:
        return moment
    hour = _value(match["hour"])
    minute = (
        30
        if match["half"]
        else 15 * (1 if match["quarter"] == "一" else 3)
        if match["quarter"]
        else _value(match["minute"] or "零")
    )
    if not 0 <= hour <= 24 or not 0 <= minute < 60:
        return None
    day, part = moment.day, moment.part
    night = part in ("夜里", "半夜", "夜间", "深夜", "晚上")
    if (part in ("下午", "傍晚") and hour < 12) or (part == "中午" and hour < 3) or (night and 6 <= hour < 12):
        hour += 12
    elif night and (hour in (12, 24) or hour < 5):
        day, hour = day + timedelta(days=1), hour % 12
    return _Moment(day, part, hour % 24, minute)


def _ago(match: re.Match[str], now: datetime) -> _Moment | None:
    count = 0.5 if match["n"] == "半" else float(_value(match["n"]))
    if count < 0:
        return None
    unit = match["unit"]
    then = now - timedelta(days=(count + (0.5 if match["half"] else 0)) * _UNIT_DAYS[unit])
    if unit in ("分钟", "小时", "钟头"):
        return _Moment(then.date(), "", then.hour, then.minute)
    return _Moment(then.date(), scale="year" if unit == "年" else "month" if unit == "月" else "day")


def _duration(match: re.Match[str], now: datetime) -> str:
    """How long, and from which day on where that is told by days or weeks."""
    told, unit = match["n"], match["unit"]
    more = "多" if match["more"] or match["more2"] == "多" or match["more3"] else ""
    name = _UNIT_NAMES[unit]
    if told in ("半",):
        return f"半{name}"
    value = number(told) if not told.isascii() else int(told)
    if value is None or value == 0:
        return f"{told.removeprefix('好')}{name}"
    half = "半" if match["more2"] == "半" else ""
    text = f"{value}{name}{more or half}"
    for sign in ("多", "半"):
        text = text.replace(f"个月{sign}", f"个{sign}月")
    days = value * _UNIT_DAYS[unit]
    if more or half or not 1 <= days <= 60 or unit in ("月", "年"):
        return text
    return f"{text}（{(now - timedelta(days=days)).date().isoformat()} 起）"


def _value(spoken: str) -> int:
    if spoken.isascii() and spoken.isdigit():
        return int(spoken)
    value = number(spoken.lstrip("零〇") or "零")
    return -1 if value is None else value


def _figures(spoken: str) -> str:
    return re.sub(rf"{_N}(?=点)", lambda match: str(_value(match.group())), spoken)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
