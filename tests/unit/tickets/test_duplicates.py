"""Which tickets may be about one matter, and why."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from demo.matters import complain
from tickets.duplicates import Likeness, Matter, find_duplicates
from tickets.wording import common_pieces, plain

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
LAMPS = Matter(
    ticket_id=9,
    number="N9",
    at=NOW,
    text="您好，我住在川北小区，三号楼前面的一排路灯都不亮了，老人晚上摔了一跤，请尽快处理",
    category="市政园林/路灯",
    town="儒林街道",
    community="川北小区",
    phone="13800138000",
)
AGAIN = replace(
    LAMPS,
    ticket_id=5,
    at=NOW - timedelta(hours=20),
    text="川北小区三号楼的路灯不亮，一排都灭了，派人来修修吧",
    phone="13900139000",
)


def found(matter: Matter, *block: Matter, at_least: float = 0.5) -> list[Likeness]:
    return find_duplicates(matter, block, at_least=at_least, most=10)


def outcomes(likeness: Likeness) -> dict[str, str]:
    return {reason.about: reason.outcome for reason in likeness.reasons}


def test_same_words_place_and_day_are_suggested_with_every_reason() -> None:
    (likeness,) = found(LAMPS, AGAIN)
    assert likeness.score > 0.8
    assert outcomes(likeness).keys() == {"text", "place", "time", "category"}
    text = next(reason for reason in likeness.reasons if reason.about == "text")
    assert "三号楼" in text.words
    assert [abs(reason.points) for reason in likeness.reasons] == sorted(
        (abs(reason.points) for reason in likeness.reasons), reverse=True
    )


def test_another_town_is_another_matter_however_alike_the_words() -> None:
    assert found(LAMPS, replace(AGAIN, text=LAMPS.text, town="康庄镇", community="")) == []


def test_another_matter_of_the_same_neighbours_is_none() -> None:
    water = replace(AGAIN, text="川北小区今天早上停水了，没有通知，做饭都没法做", category="水电气讯/供水")
    assert found(LAMPS, water) == []


def test_the_same_caller_adds_to_it_and_the_number_is_not_told() -> None:
    (other,), (same,) = found(LAMPS, AGAIN), found(LAMPS, replace(AGAIN, phone=LAMPS.phone))
    assert same.score > other.score
    assert "138" not in str([reason.to_data() for reason in same.reasons])


def test_numbers_that_are_spoken_are_in_no_reason() -> None:
    said = "川北小区三号楼路灯不亮，我的电话是，幺三八零零幺三八零零零。"
    (likeness,) = found(replace(LAMPS, text=said), replace(AGAIN, text=said))
    assert "幺三八" not in str(likeness.reasons)


def test_distance_counts_where_both_places_are_known() -> None:
    here = replace(LAMPS, community="", latitude=40.4567, longitude=115.9700)
    near = replace(AGAIN, community="", latitude=40.4570, longitude=115.9705)
    far = replace(near, latitude=40.4900)
    assert outcomes(found(here, near)[0])["place"] == "near"
    assert found(here, far) == []


def test_the_surest_come_first_and_only_so_many() -> None:
    block = [replace(AGAIN, ticket_id=n, at=NOW - timedelta(days=n)) for n in range(1, 6)]
    ranked = find_duplicates(LAMPS, block, at_least=0.0, most=3)
    assert [each.other.ticket_id for each in ranked] == [1, 3, 2]  # within a day; within three: the newer row first


def test_tickets_without_words_say_nothing() -> None:
    bare = Matter(ticket_id=1, number="1", at=NOW, text="")
    assert found(bare, replace(bare, ticket_id=2)) == []


@given(st.text(max_size=60), st.text(max_size=60), st.integers(-40, 40))
def test_any_two_texts_have_a_probability_and_order_does_not_matter(one: str, other: str, hours: int) -> None:
    first = replace(LAMPS, text=one)
    second = replace(AGAIN, text=other, at=NOW + timedelta(hours=hours))
    (there,) = found(first, second, at_least=0.0)
    (back,) = found(second, first, at_least=0.0)
    assert 0.0 <= there.score <= 1.0
    assert abs(there.score - back.score) < 0.3  # rarity is counted in the block, which differs


def test_most_callers_of_one_event_are_found_among_many_others() -> None:
    chance = random.Random(3)
    block = []
    for number in range(300):
        made = complain(chance)
        at = NOW - timedelta(hours=chance.uniform(0, 160))
        block.append(
            Matter(
                ticket_id=number,
                number=str(number),
                at=at,
                text=made.text,
                category=made.category,
                town=made.town,
                community=made.spot,
            )
        )
    hits = 0
    for each in random.Random(4).sample(block, 40):
        kind = next(n for n in range(100) if complain(chance, n).category == each.category)
        told = complain(chance, kind, each.town, each.community)
        again = replace(each, ticket_id=1000, at=each.at + timedelta(hours=5), text=told.text)
        hits += any(item.other is each for item in find_duplicates(again, block, at_least=0.5, most=5))
    assert hits >= 24


@given(st.text(alphabet="路灯不亮，。 你好\n", max_size=40))
def test_plain_text_has_neither_personal_numbers_nor_blanks(text: str) -> None:
    made = plain(f"{text}。电话13800138000。")
    assert "138" not in made
    assert "8000" not in made
    assert " " not in made


def test_common_pieces_are_the_longest_shared_ones() -> None:
    assert common_pieces("川北小区三号楼\n路灯不亮", "三号楼的路灯不亮") == ["三号楼", "路灯不亮"]
