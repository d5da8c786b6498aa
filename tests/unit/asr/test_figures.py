from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.figures import NUMERALS, SPOKEN_DIGITS, figures, number, written

ONES = "零一二三四五六七八九"


def spell(value: int) -> str:
    """As people say it, slowly and obviously: 10_500 is 一万零五百."""
    if value >= 10_000:
        for unit, size in (("亿", 100_000_000), ("万", 10_000)):
            if value >= size:
                rest = value % size
                gap = "零" if 0 < rest < size // 10 else ""
                return spell(value // size) + unit + gap + (spell(rest) if rest else "")
    for unit, size in (("千", 1000), ("百", 100), ("十", 10)):
        if value >= size:
            rest = value % size
            gap = "零" if 0 < rest < size // 10 else ""
            return ONES[value // size] + unit + gap + (spell(rest) if rest else "")
    return ONES[value]


@given(st.integers(1, 9_999_9999_9999))
def test_every_number_is_read_as_it_is_spelled(value: int) -> None:
    assert number(spell(value)) == value


@pytest.mark.parametrize(
    ("spoken", "value"),
    [
        *(("十", 10), ("十二", 12), ("两百", 200), ("一百一十", 110), ("一百零五", 105), ("两千零五", 2005)),
        *(("一百五", 150), ("三千五", 3500), ("一万二", 12_000), ("两万零二", 20_002), ("三亿二", 320_000_000)),
        *(
            (bad, None)
            for bad in ("三五", "万", "百", "千万", "十百", "一百二百", "二两", "零零", "一万万", "零零", "两十", "")
        ),
    ],
)
def test_short_forms_are_numbers_and_what_is_none_is_none(spoken: str, value: int | None) -> None:
    assert number(spoken) == value


@pytest.mark.parametrize(
    ("spoken", "as_written"),
    [
        ("电话是幺三八零零幺三八零零零转三零二", "电话是13800138000转302"),
        ("是一三八，零零，一三八", "是13800138"),
        ("是一，三，八，零零，五。", "是138005。"),
        ("住三零二，一直没暖气", "住302，一直没暖气"),
        ("二零二六年三月五号下午三点半", "2026年3月5号下午3点半"),
        ("早上八点到晚上十点零五分", "早上8点到晚上10点05分"),
        ("五点五十分，两点一刻，十二点", "5点50分，2点一刻，12点"),
        ("五点多就没电了，三点左右，晚上七点要来", "5点多就没电了，3点左右，晚上7点要来"),
        ("二十五点开会", "25点开会"),
        ("三十八度七发烧，屋里十六度五", "38度7发烧，屋里16度5"),
        ("欠了十五万八没给", "欠了158000没给"),
        ("室温十三点五度，零下五度，零点五公里", "室温13.5度，零下5度，0.5公里"),
        ("三号楼二单元五零一，五路公交，一号线", "3号楼2单元501，5路公交，1号线"),
        ("三块五，五毛钱，两块钱，一百二十平米", "3块5，5毛钱，2块钱，120平米"),
        ("三十万，两万三千块，一万二", "30万，23000块，12000"),
        ("二十多户，三十几个，一百来人，十八岁，三岁", "20多户，30几个，100来人，18岁，3岁"),
        ("百分之八十，百分之零点五，百分之五", "百分之80，百分之0.5，百分之5"),
        ("九八年，零八年，一九八五年", "98年，08年，1985年"),
        ("十分钟，十个，十月一号", "10分钟，10个，10月1号"),
    ],
)
def test_numbers_are_written_in_figures(spoken: str, as_written: str) -> None:
    assert written(spoken) == as_written


@pytest.mark.parametrize(
    "spoken",
    [
        *("十分满意", "万一", "千万要来", "老百姓", "一直", "一下子", "一五一十", "十字路口", "国庆十一放假"),
        *("差一点", "早一点来", "晚上一点也不暖和", "有两点意见", "有一点", "三点意见", "一点多余的"),
        *(
            "两三千块",
            "二三十个",
            "十五六个",
            "三五天",
            "一两个月",
            "七八年",
            "三五年",
            "十几个",
            "十多个",
            "几十户",
            "数百人",
        ),
        *("三度一直不热", "度过三五天"),
        *("十三陵镇", "千家店镇", "三里屯", "三元桥", "八达岭", "五道口", "百分之百", "三分之一", "第三天"),
        *("", "，，", "零", "一二"),
    ],
)
def test_what_may_be_no_number_stays(spoken: str) -> None:
    assert written(spoken) == spoken


@given(st.text("".join({*NUMERALS, *SPOKEN_DIGITS}) + "点号楼月年块度分之，我半", max_size=24))
def test_figures_take_numerals_alone_and_each_once(text: str) -> None:
    found = figures(text)
    assert all(first.end <= second.start for first, second in pairwise(found))
    for each in found:
        assert set(text[each.start : each.end]) <= {*NUMERALS, *SPOKEN_DIGITS, "，", "点"}
        assert each.figure.strip("0123456789") in {"", ".", "万", "亿"}
