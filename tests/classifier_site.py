"""A small city whose letters are easy to tell apart, for tests of the trained classifier."""

import random
from functools import cache

from tickets.classifier.examples import Example
from tickets.classifier.features import Text
from tickets.classifier.model import Model
from tickets.classifier.training import Held, Plan, learn_from_all, train

MATTERS = {
    "市政/路灯": ["路灯不亮", "晚上漆黑", "灯杆歪了", "街灯闪烁"],
    "市政/井盖": ["井盖丢失", "下水堵塞", "污水外溢", "井口塌陷"],
    "劳动": ["拖欠工资", "包工头跑了", "没有合同", "不发加班费"],
    "医疗": ["医院挂号", "药品涨价", "手术失误", "疫苗预约"],
}
WHERE = ["村口", "小区东门", "学校旁边", "桥头", "镇政府附近"]
WHEN = ["昨天开始", "一个月了", "上周以来", "反复多次"]


def letters(*, each: int, seed: int = 1) -> tuple[Example, ...]:
    """`each` letters a label, with a little that is shared by all."""
    chance = random.Random(seed)
    return tuple(
        Example(
            Text(
                f"我在{chance.choice(WHERE)}，{chance.choice(says)}，{chance.choice(says)}，{chance.choice(WHEN)}，"
                f"请处理{chance.randrange(100)}号",
                f"关于{chance.choice(says)}",
            ),
            label,
        )
        for _ in range(each)
        for label, says in MATTERS.items()
    )


@cache
def trained(seed: int = 1) -> tuple[Model, tuple[Held, ...]]:
    """A model of 20 letters a label."""
    examples = letters(each=20)
    texts = [example.text for example in examples]
    words = {"劳动": ("工资",), "市政/路灯": ("路灯",)}
    return train(
        examples, learn_from_all(texts), words=words, background=texts, plan=Plan(0.9, seed), version="20260101-000000"
    )
