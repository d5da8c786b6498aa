"""What may be hidden from a reader, and what may not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.fillers import fillers, without_fillers


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("嗯，我想反映一下。", "我想反映一下。"),
        ("我家嗯电梯坏了。", "我家电梯坏了。"),
        ("我家嗯，电梯坏了。", "我家，电梯坏了。"),
        ("路灯坏了，嗯。", "路灯坏了。"),
        ("嗯，那个，我想问一下。", "我想问一下。"),
        ("啊，我是康庄镇的。", "我是康庄镇的。"),
        ("呃啊我想问。", "啊我想问。"),
        ("我我我家停水了。", "我家停水了。"),
        ("我，我家停水了。", "我家停水了。"),
        ("那那个楼的电梯。", "那个楼的电梯。"),
        ("那个那个我想问一下。", "我想问一下。"),
        ("就是那个那个楼。", "就是那个楼。"),
        ("我想我想反映一下。", "我想反映一下。"),
        ("我们家，我们家没有暖气。", "我们家没有暖气。"),
        ("就是说我们这里没水。", "我们这里没水。"),
        ("没有水，怎么说呢，很不方便。", "没有水，很不方便。"),
        ("因为因为下雨。", "因为下雨。"),
        ("他们他们的车。", "他们的车。"),
    ],
)
def test_what_fills_a_pause_can_be_hidden(text: str, left: str) -> None:
    assert without_fillers(text) == left


@pytest.mark.parametrize(
    "text",
    [
        *("嗯。", "嗯，嗯。", "是的。嗯。", "那个楼的电梯坏了。", "这个问题很急。", "就是那个小区。", "他就是说不来。"),
        *(
            "谢谢谢谢。",
            "看看看看。",
            "我们研究研究。",
            "天天年年。",
            "好好说说。",
            "反映反映。",
            "金额和额度。",
            "对对对。",
        ),
        *(
            "是是是。",
            "不不不。",
            "三楼三楼。",
            "1388888。",
            "电话是13800138000。",
            "多少啊。",
            "然后他走了。",
            "",
            "，。",
        ),
    ],
)
def test_words_that_mean_something_stay(text: str) -> None:
    assert without_fillers(text) == text


@given(st.text("嗯呃啊我我那个就是说想反映灯，。？13", max_size=24))
def test_spans_are_apart_and_no_sentence_vanishes(text: str) -> None:
    found = fillers(text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(one[1] < other[0] for one, other in pairwise(found))
    left = without_fillers(text)
    said = [part for part in text.replace("？", "。").split("。") if part.strip("，")]
    assert len([part for part in left.replace("？", "。").split("。") if part.strip("，")]) == len(said)
