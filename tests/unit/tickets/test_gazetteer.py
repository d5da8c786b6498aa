import pytest

from hotline.settings_sections import TicketSettings
from tickets.gazetteer import ALIAS, BY_SOUND, EXACT, ONE_WRONG, Gazetteer, load_gazetteer


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return load_gazetteer(TicketSettings().gazetteer_path)


@pytest.mark.parametrize(
    ("text", "name", "town", "confidence"),
    [
        ("我住在延庆区张山营镇", "张山营镇", "张山营镇", EXACT),
        ("张山营那边的路", "张山营镇", "张山营镇", ALIAS),
        ("在西大庄科村的雪场门口", "西大庄科村", "张山营镇", EXACT),
        ("八达岭长城停车场", "八达岭长城", "八达岭镇", EXACT),
        ("妫水北街有一段", "妫水北街", "", EXACT),
        ("贵水北街有一段", "妫水北街", "", BY_SOUND),
        ("我在中关村延庆元", "中关村延庆园", "", BY_SOUND),
        ("住在赵山营镇", "张山营镇", "张山营镇", ONE_WRONG),
        ("景庄镇的三司村", "井庄镇", "井庄镇", BY_SOUND),
    ],
)
def test_place_is_found_also_through_recognition_errors(
    gazetteer: Gazetteer, text: str, name: str, town: str, confidence: float
) -> None:
    hit = gazetteer.find(text)
    assert hit is not None
    assert (hit.place.name, hit.place.town, hit.confidence) == (name, town, confidence)


@pytest.mark.parametrize(
    "text",
    ["", "延庆区的领导", "这件事就嫌麻烦", "我真的是害怕", "楼下的停车场", "\n", "前店家的老板"],
)
def test_words_that_only_resemble_a_place_are_none(gazetteer: Gazetteer, text: str) -> None:
    assert gazetteer.find(text) is None


def test_hit_spans_the_name(gazetteer: Gazetteer) -> None:
    text = "我们康庄镇的"
    hit = gazetteer.find(text)
    assert hit is not None
    assert text[hit.start : hit.end] == "康庄镇"


def test_full_name_wins_over_an_alias_said_before(gazetteer: Gazetteer) -> None:
    hit = gazetteer.find("从永宁过来在旧县镇那个路口")
    assert hit is not None
    assert hit.place.name == "旧县镇"


def test_every_town_is_found_by_its_name(gazetteer: Gazetteer) -> None:
    towns = {place.name for place in gazetteer.spellings if place.name == place.town}
    assert len(towns) == 18
    for town in towns:
        hit = gazetteer.find(f"我是{town}的居民")
        assert hit is not None
        assert hit.place.town == town
