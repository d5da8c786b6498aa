"""Topics: what belongs together, what it is called, whether it grows, and that it is the same one tomorrow."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.matters import KINDS, complain
from tickets.topic_names import name_of, phrases_of
from tickets.topics import WEEK, WINDOW, Growth, Text, Topic, binomial_tail, find_topics, growth_of, match_topics
from tickets.wording import plain

TODAY = date(2026, 11, 20)
LAMPS, WAGES, LIFTS = (
    next(at for at, kind in enumerate(KINDS) if kind.category == category)
    for category in ("市政园林/路灯", "劳动社保/欠薪", "物业管理/电梯")
)


def calls(kind: int, count: int, *, first: int, days: int = WINDOW, town: str = "", seed: int = 1) -> list[Text]:
    chance = random.Random(seed + first)
    made = [complain(chance, kind, town) for _ in range(count)]
    return [
        Text(
            ticket_id=first + number,
            day=TODAY - timedelta(days=chance.randrange(days)),
            text=each.text,
            category=each.category,
            town=each.town,
            unit="城管委",
            solved=(True, False, None)[number % 3],
        )
        for number, each in enumerate(made)
    ]


def topics_of(texts: list[Text], **changes: object) -> list[Topic]:
    options: dict[str, object] = {"today": TODAY, "at_least": 5, "max_grouped": 1000}
    return find_topics(texts, **(options | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def week() -> list[Text]:
    return [
        *calls(LAMPS, 60, first=0, days=WEEK, town="永宁镇"),
        *calls(LIFTS, 60, first=100),
        *calls(WAGES, 60, first=200),
    ]


def test_calls_about_one_matter_are_in_one_topic(week: list[Text]) -> None:
    topics = topics_of(week)
    for topic in topics:
        hundreds = Counter(ticket // 100 for ticket in topic.tickets)
        assert hundreds.most_common(1)[0][1] >= 0.85 * len(topic.tickets), topic.name
    assert sum(len(topic.tickets) for topic in topics) >= 120


def test_a_topic_tells_growth_places_units_and_how_many_were_solved(week: list[Text]) -> None:
    topic = topics_of(week)[0]
    assert topic.growth.rising
    assert topic.towns[0][0] == "永宁镇"
    assert topic.name.startswith("永宁镇：")
    assert topic.units == (("城管委", len(topic.tickets)),)
    assert topic.categories[0][0] == "市政园林/路灯"
    assert len(topic.daily) == WINDOW
    assert sum(topic.daily) == len(topic.tickets) == topic.growth.week + topic.growth.before
    assert topic.solved
    assert topic.unsolved
    assert set(topic.examples) <= set(topic.tickets)


def test_more_texts_than_are_grouped_join_the_groups(week: list[Text]) -> None:
    topics = topics_of(week, max_grouped=90)
    assert sum(len(topic.tickets) for topic in topics) >= 100


def test_old_texts_later_ones_and_texts_without_words_are_in_no_topic(week: list[Text]) -> None:
    others = [
        replace(week[0], ticket_id=900, day=TODAY - timedelta(days=WINDOW)),
        replace(week[0], ticket_id=901, day=TODAY + timedelta(days=1)),
        replace(week[0], ticket_id=902, text="13800138000"),
        replace(week[0], ticket_id=903, text=""),
    ]
    found = {ticket for topic in topics_of([*week, *others]) for ticket in topic.tickets}
    assert found.isdisjoint({900, 901, 902, 903})


@pytest.mark.parametrize("text", ["", "好", "路灯不亮", "abcdef"])
def test_few_or_equal_texts_do_not_break_it(text: str) -> None:
    for count in (0, 1, 3, 12):
        texts = [Text(ticket_id=number, day=TODAY, text=text) for number in range(count)]
        assert len(topics_of(texts)) <= 1


def test_texts_that_share_nothing_are_no_topic() -> None:
    texts = [Text(ticket_id=n, day=TODAY, text=chr(0x4E00 + 3 * n) + chr(0x6E00 + 5 * n) * 2) for n in range(40)]
    assert topics_of(texts) == []


def test_names_are_whole_phrases_and_no_places() -> None:
    lamps = [plain(text) for text in ("太平街路灯不亮", "太平街的路灯坏了", "路灯不亮摔了一跤", "太平街路灯不亮了")]
    lifts = [plain(text) for text in ("电梯坏了没人修", "电梯困人", "电梯停了", "我们楼电梯坏了")]
    first, second = phrases_of([lamps, lifts], lamps + lifts, {"太平街"})
    assert first[0] in ("路灯不亮", "路灯")
    assert not {"灯不", "不亮", "灯不亮", "太平街"} & set(first)
    assert "电梯" in second[0]
    assert name_of([], town="永宁镇", category="市政园林/路灯") == "永宁镇：市政园林 路灯"
    assert name_of([], town="", category="") == "未归类"


def test_two_that_become_four_are_no_alarm() -> None:
    assert not growth_of(4, 8, all_week=100, all_before=400).rising
    assert growth_of(30, 8, all_week=100, all_before=400).rising


def test_a_week_in_which_everything_doubles_makes_nothing_rise() -> None:
    assert not growth_of(40, 80, all_week=800, all_before=1600).rising
    assert growth_of(40, 80, all_week=400, all_before=1600).ratio == pytest.approx(2.0)


def test_what_was_never_there_rises_from_a_few_on() -> None:
    assert growth_of(6, 0, all_week=100, all_before=400).rising
    assert not growth_of(2, 0, all_week=100, all_before=400).rising
    assert growth_of(0, 0, all_week=0, all_before=0) == Growth(0, 0, 0.0, 1.0)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1))
def test_the_tail_is_a_probability_that_falls(hits: int, more: int, probability: float) -> None:
    tries = hits + more
    value = binomial_tail(hits, tries, probability)
    assert 0.0 <= value <= 1.0
    assert binomial_tail(hits + 1, tries, probability) <= value + 1e-9


def test_the_tail_is_the_textbooks() -> None:
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(10, 10, 0.5) == pytest.approx(2**-10)


def test_a_topic_is_the_same_tomorrow_and_none_is_two(week: list[Text]) -> None:
    topics = topics_of(week)
    known = {at + 10: frozenset(topic.tickets) for at, topic in enumerate(topics)}
    tomorrow = find_topics(week, today=TODAY + timedelta(days=1), at_least=5, max_grouped=1000)
    matched = match_topics(tomorrow, known)
    ids = [identity for identity in matched if identity is not None]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 0.8 * len(topics)
    assert match_topics(topics, known) == list(known)
    assert match_topics(topics, {}) == [None] * len(topics)
