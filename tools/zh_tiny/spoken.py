"""Numbers as a caller says them: digit strings in groups, sums, dates, times, temperatures, addresses.

Every maker takes a random generator and returns Chinese characters only, as they are spoken.
"""

import random
from collections.abc import Callable

DIGITS = "零一二三四五六七八九"
YAO = "幺"
"""How "one" is said in telephone and room numbers."""
TENS = ("", "十", "百", "千")
MOBILE_SECOND = "356789"
DIGIT_CHARACTERS = frozenset(DIGITS + YAO)


def cardinal(number: int) -> str:
    """0 to 99,999,999 in words: 203 is 二百零三, 12 is 十二, 20500 is 两万零五百."""
    if number >= 10_000:
        high, low = divmod(number, 10_000)
        head = "两" if high == 2 else cardinal(high)
        gap = "零" if 0 < low < 1000 else ""
        return f"{head}万{gap}{_below_ten_thousand(low) if low else ''}"
    text = _below_ten_thousand(number)
    return text[1:] if text.startswith("一十") else text


def _below_ten_thousand(number: int) -> str:
    if number == 0:
        return DIGITS[0]
    text = ""
    gap = False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            text += (DIGITS[0] if gap else "") + DIGITS[digit] + TENS[place]
            gap = False
        elif text:
            gap = True
    return text


def read_digits(digits: str, *, yao: bool) -> str:
    """ "138" as 一三八, or 幺三八 as on the telephone."""
    text = "".join(DIGITS[int(digit)] for digit in digits)
    return text.replace("一", YAO) if yao else text


def random_digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def mobile_number(rng: random.Random) -> str:
    """Eleven figures that begin like a mobile number."""
    return "1" + rng.choice(MOBILE_SECOND) + random_digits(rng, 9)


def grouped(rng: random.Random, digits: str) -> str:
    """A digit string as it is dictated: in groups with pauses, at times in one go; 幺 more often than 一."""
    yao = rng.random() < 0.65
    groups = rng.choice(((3, 4, 4), (3, 4, 4), (11,), (3, 8), (3, 3, 3, 2), (4, 4, 3), (3, 3, 5), (2, 3, 3, 3)))
    if len(digits) != 11:
        step = rng.choice((3, 4, 4, len(digits)))
        groups = tuple(step for _ in range(len(digits)))
    parts = []
    for size in groups:
        if digits:
            parts.append(read_digits(digits[:size], yao=yao))
            digits = digits[size:]
    return "，".join(parts)


def money(rng: random.Random) -> str:
    unit = rng.choice(("元", "块钱", "块", "元钱"))
    kind = rng.randrange(6)
    if kind == 0:
        return cardinal(rng.randint(1, 99) * 100) + unit
    if kind == 1:
        return cardinal(rng.randint(1, 99) * 1000) + unit
    if kind == 2:
        return cardinal(rng.randint(2, 999)) + unit
    if kind == 3:
        return f"{rng.choice('两三四五六七八九')}{rng.choice(('千多', '百多', '万多', '十多万'))}{unit}"
    if kind == 4:
        return f"{cardinal(rng.randint(1, 30))}万{rng.choice(('', cardinal(rng.randint(1, 9)) + '千'))}{unit}"
    return f"{cardinal(rng.randint(1, 99))}块{rng.choice(DIGITS[1:])}{rng.choice(('', '毛'))}"


def temperature(rng: random.Random) -> str:
    degrees = cardinal(rng.randint(3, 26))
    kind = rng.randrange(5)
    if kind == 0:
        return f"{degrees}点{rng.choice(DIGITS[1:])}度"
    if kind == 1:
        return f"{rng.choice(('不到', '大概', '只有', '也就'))}{degrees}度"
    if kind == 2:
        return f"零下{cardinal(rng.randint(1, 25))}度"
    return f"{degrees}{rng.choice(('度', '摄氏度', '度左右', '来度'))}"


def clock_time(rng: random.Random) -> str:
    part = rng.choice(("上午", "下午", "晚上", "早上", "夜里", "凌晨", "中午", ""))
    hour = rng.choice([cardinal(hour) for hour in range(1, 13) if hour != 2] + ["两"])
    minutes = cardinal(rng.randint(10, 59)) + rng.choice(("", "分"))
    minute = rng.choice(("", "", "半", "钟", "多", "左右", "一刻", "三刻", "零五分", minutes))
    return f"{part}{hour}点{minute}"


def date(rng: random.Random) -> str:
    month = cardinal(rng.randint(1, 12)) + "月"
    day = cardinal(rng.randint(1, 31)) + rng.choice(("号", "日"))
    year = "二零" + read_digits(f"{rng.randint(5, 32):02}", yao=False) + "年"
    return rng.choice(
        (
            month + day,
            month + day,
            year + month + day,
            year + month,
            year,
            month + "份",
            f"星期{rng.choice('一二三四五六天日')}",
            f"{rng.choice(('上周', '下周', '这周', '周'))}{rng.choice('一二三四五六日')}",
            f"{rng.choice(('本月', '上个月', '下个月', '这个月'))}{day}",
        )
    )


def house_number(rng: random.Random) -> str:
    building = f"{cardinal(rng.randint(1, 38))}号楼"
    entrance = f"{cardinal(rng.randint(1, 9))}单元"
    room = read_digits(f"{rng.randint(1, 28)}0{rng.randint(1, 6)}", yao=rng.random() < 0.6)
    return rng.choice(
        (
            building + entrance + room,
            building + entrance + room + "室",
            building + entrance,
            building + entrance + cardinal(rng.randint(1, 28)) + "层",
            building,
            f"{cardinal(rng.randint(1, 399))}号",
            f"{cardinal(rng.randint(1, 12))}组{cardinal(rng.randint(1, 120))}号",
            rng.choice(("东区", "西区", "南院", "北院", "北里", "南里")) + building,
            room + "室",
        )
    )


def count(rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(
            ("两三", "三四", "五六", "七八", "十几", "二十多", "三十多", "好几", "一百多", "几十", "上百")
        )
    if kind == 1:
        return rng.choice(("两", *DIGITS[1:]))
    return cardinal(rng.randint(3, 60 if kind == 2 else 1500))


def bus_line(rng: random.Random) -> str:
    number = rng.choice((str(rng.randint(1, 99)), str(rng.randint(100, 999))))
    said = cardinal(int(number)) if len(number) < 3 else read_digits(number, yao=rng.random() < 0.6)
    return f"{rng.choice(('', '', '快', '专'))}{said}路"


NUMBERS: dict[str, Callable[[random.Random], str]] = {
    "mobile": lambda rng: grouped(rng, mobile_number(rng)),
    "landline": lambda rng: grouped(rng, "6" + random_digits(rng, 7)),
    "ticket": lambda rng: grouped(rng, random_digits(rng, rng.choice((5, 6, 6, 8)))),
    "digits": lambda rng: grouped(rng, random_digits(rng, rng.randint(3, 12))),
    "money": money,
    "temperature": temperature,
    "time": clock_time,
    "date": date,
    "house": house_number,
    "count": count,
    "bus": bus_line,
    "age": lambda rng: cardinal(rng.randint(3, 98)),
    "percent": lambda rng: f"百分之{cardinal(rng.randint(1, 100))}",
    "area": lambda rng: cardinal(rng.randint(2, 180)) + rng.choice(("平米", "平方米", "平", "亩", "亩地")),
}
"""Slots of the grammar that are numbers."""
