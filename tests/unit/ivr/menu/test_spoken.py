"""Answers in words, by the phrases of the survey that ships."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.announcements.prompts import PromptLibrary
from ivr.menu.loader import load_flow
from ivr.menu.spoken import spoken_answer

ROOT = Path(__file__).resolve().parents[4] / "ivr"
FLOW = load_flow(ROOT / "flows/survey.yaml", prompts=frozenset(PromptLibrary.load(ROOT / "prompts/zh").names))
PHRASES = {name: state.survey.spoken for name, state in FLOW.states.items() if state.survey is not None}
YES_NO = {"yes": ("解决了", "有"), "no": ("没解决", "没有")}


@pytest.mark.parametrize(
    ("question", "said", "answer"),
    [
        ("contacted", "联系了", "yes"),
        ("contacted", "嗯 联系 了", "yes"),
        ("contacted", "有。", "yes"),
        ("contacted", "昨天就打过电话了", "yes"),
        ("contacted", "没有", "no"),
        ("contacted", "一直都没有人联系我", "no"),
        ("contacted", "还没联系呢", "no"),
        ("contacted", "到现在也没人来", "no"),
        ("contacted", "有没有", None),
        ("contacted", "没联系，不对，联系了", None),
        ("contacted", "什么单位啊", None),
        ("solved", "解决了，谢谢", "yes"),
        ("solved", "已经修好了", "yes"),
        ("solved", "没解决", "no"),
        ("solved", "根本没有解决", "no"),
        ("solved", "还没有得到解决", "no"),
        ("solved", "没彻底解决", "no"),
        ("solved", "解决了一半", "no"),
        ("solved", "没解决，根本不管", "no"),
        ("solved", "不是没解决", None),
        ("solved", "没说解决了", None),
        ("solved", "解决了没有", None),
        ("satisfied", "满意", "satisfied"),
        ("satisfied", "非常满意", "satisfied"),
        ("satisfied", "还算满意吧", "basically"),
        ("satisfied", "基本满意", "basically"),
        ("satisfied", "不满意", "not_satisfied"),
        ("satisfied", "特别不满意", "not_satisfied"),
        ("satisfied", "我不是很满意", "not_satisfied"),
        ("satisfied", "谈不上满意", "not_satisfied"),
        ("satisfied", "没有不满意", None),
        ("satisfied", "不能说满意", None),
        ("satisfied", "满意不满意都一样", None),
    ],
)
def test_what_people_say_and_what_it_means(question: str, said: str, answer: str | None) -> None:
    assert spoken_answer(said, PHRASES[question]) == answer


def test_one_character_counts_only_where_it_is_all_that_was_said() -> None:
    assert spoken_answer("有", YES_NO) == "yes"
    assert spoken_answer("所有人", YES_NO) is None


def test_nothing_listed_means_nothing() -> None:
    assert spoken_answer("好", {}) is None


@given(st.text(st.sampled_from("没不未有解决了满意还是 ，嗯"), max_size=12))
def test_a_denial_is_never_taken_for_its_opposite(before: str) -> None:
    assert spoken_answer(f"{before}没解决", YES_NO) != "yes"


@given(st.text(max_size=30))
def test_any_text_means_one_of_the_answers_or_none(text: str) -> None:
    for phrases in PHRASES.values():
        assert spoken_answer(text, phrases) in {None, *phrases}
