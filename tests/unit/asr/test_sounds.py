"""How characters sound, and names found by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.sounds import SoundIndex, dialect_sound, readings, sound, spellings_by_sound


@pytest.mark.parametrize(("said", "meant"), [("自来水停", "子来睡停"), ("停电报警", "听点抱紧"), ("山洪", "三红")])
def test_tones_and_sounds_that_are_mixed_up_do_not_matter(said: str, meant: str) -> None:
    assert sound(said) == sound(meant)


@pytest.mark.parametrize(("one", "other"), [("南", "兰"), ("河", "佛"), ("路", "录灯"), ("a", "b")])
def test_other_sounds_differ(one: str, other: str) -> None:
    assert sound(one) != sound(other)


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_sound_has_one_code_for_each_character(text: str) -> None:
    assert len(sound(text)) == len(text)


@pytest.mark.parametrize(("said", "meant"), [("湖北", "福北"), ("花园", "发园"), ("刘家", "牛家")])
def test_dialects_mix_up_more(said: str, meant: str) -> None:
    assert dialect_sound(said) == dialect_sound(meant)
    assert sound(said) != sound(meant)


def test_a_name_sounds_as_a_whole_and_character_by_character() -> None:
    assert readings("重庆路")[0] == ("chong", 2)
    spellings = spellings_by_sound("重庆路", readings("重庆路"))
    assert dialect_sound("崇庆路") in spellings
    assert dialect_sound("重庆路") in spellings


def test_an_index_finds_names_and_forgives_long_ones_a_syllable() -> None:
    names = ("妫水北街", "康庄镇")
    index = SoundIndex(((sound(name), name) for name in names), error_size=4)

    def found(text: str) -> list[tuple[int, int, str, int]]:
        return sorted((hit.start, hit.end, hit.item, hit.wrong) for hit in index.find(sound(text)))

    assert found("在贵水北街和康装镇") == [(1, 5, "妫水北街", 0), (6, 9, "康庄镇", 0)]
    assert found("贵水南街") == [(0, 4, "妫水北街", 1)]
    assert found("康家镇，水北街") == []


@given(
    st.text("路灯坏不亮康庄镇街", max_size=20), st.lists(st.text("路灯坏康庄镇", min_size=2, max_size=5), max_size=5)
)
def test_finds_lie_in_the_text_and_differ_in_what_they_say(text: str, names: list[str]) -> None:
    heard = sound(text)
    for hit in SoundIndex(((sound(name), name) for name in names), error_size=4).find(heard):
        pairs = zip(heard[hit.start : hit.end], sound(hit.item), strict=True)
        assert sum(a != b for a, b in pairs) == hit.wrong
