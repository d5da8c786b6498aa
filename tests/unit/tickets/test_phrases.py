import itertools

from hypothesis import given
from hypothesis import strategies as st

from asr.sounds import sound
from tickets.phrases import Phrase, PhraseSet


def found(text: str, *phrases: tuple[str, float], gap: int = 4) -> list[tuple[str, float, str]]:
    hits = PhraseSet(tuple(Phrase(words, weight, gap) for words, weight in phrases)).find(text, sound(text))
    return [(hit.phrase, hit.weight, text[hit.start : hit.end]) for hit in hits]


def test_characters_that_match_weigh_in_full() -> None:
    assert found("门口的路灯坏了", ("路灯", 3)) == [("路灯", 3, "路灯")]


def test_wildcard_bridges_up_to_its_gap() -> None:
    assert found("路灯一直都不亮", ("路灯*不亮", 4)) == [("路灯*不亮", 4, "路灯一直都不亮")]
    assert found("路灯从上个月起就不亮", ("路灯*不亮", 4)) == []


def test_wildcard_does_not_reach_into_the_next_utterance() -> None:
    assert found("路灯\n不亮", ("路灯*不亮", 4)) == []


def test_homophones_of_a_long_phrase_count_less() -> None:
    assert found("有人网合理到东西", ("往河里倒", 4)) == [("往河里倒", 3.0, "网合理到")]


def test_homophones_of_a_short_phrase_do_not_count() -> None:
    assert found("鹿等", ("路灯", 4)) == []


def test_heaviest_of_overlapping_phrases_counts() -> None:
    assert found("煤改电设备坏了", ("设备", 2), ("煤改电设备", 4), ("设备坏", 1)) == [("煤改电设备", 4, "煤改电设备")]


def test_phrase_counts_once_but_where_it_does_not_overlap() -> None:
    assert found("公交站取消了公交站没了", ("公交站*取消", 4), ("公交站", 3)) == [
        ("公交站*取消", 4, "公交站取消"),
        ("公交站", 3, "公交站"),
    ]


def test_signs_of_regular_expressions_are_plain_characters() -> None:
    assert found("费用(含税)", ("(含税)", 1)) == [("(含税)", 1, "(含税)")]


@given(
    text=st.text(alphabet="路灯坏不亮了的\n水", max_size=40),
    phrases=st.lists(st.text(alphabet="路灯坏不亮*", min_size=1, max_size=6), unique=True, max_size=6),
)
def test_hits_never_overlap_and_lie_in_the_text(text: str, phrases: list[str]) -> None:
    hits = PhraseSet(tuple(Phrase(words, 1, 3) for words in phrases)).find(text, sound(text))
    for hit in hits:
        assert 0 <= hit.start <= hit.end <= len(text)
    for one, other in itertools.pairwise(hits):
        assert one.end <= other.start
