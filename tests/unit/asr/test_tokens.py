import math

from hypothesis import given
from hypothesis import strategies as st

from asr.engines.tokens import LONGEST_WORD_MS, words_of_tokens
from asr.recognizer import Word


def texts(words: tuple[Word, ...]) -> list[tuple[str, int, int]]:
    return [(word.text, word.start_ms, word.end_ms) for word in words]


def test_each_chinese_character_is_a_word_that_ends_where_the_next_begins_or_soon() -> None:
    words = words_of_tokens("路灯坏", ["路", "灯", "坏"], [100, 300, 2000], end_ms=2100)
    assert texts(words) == [("路", 100, 300), ("灯", 300, 300 + LONGEST_WORD_MS), ("坏", 2000, 2100)]


def test_pieces_of_a_latin_word_are_one_word() -> None:
    words = words_of_tokens(
        "在wi fi box里", ["在", "▁wi", "▁fi", "▁bo", "x", "里"], [0, 100, 200, 300, 400, 500], end_ms=600
    )
    assert texts(words) == [("在", 0, 100), ("wi", 100, 200), ("fi", 200, 300), ("box", 300, 500), ("里", 500, 600)]


def test_byte_pieces_of_chinese_are_laid_over_its_characters() -> None:
    """A Chinese character is three bytes, whatever the pieces' letters are."""
    words = words_of_tokens("路灯坏了", ["▁abc", "def", "ghijkl"], [0, 200, 400], end_ms=900)
    assert [(word.text, word.start_ms) for word in words] == [("路", 0), ("灯", 200), ("坏", 400), ("了", 400)]


def test_punctuation_is_not_said() -> None:
    words = words_of_tokens(
        "您好，路灯。", ["您", "好", "，", "路", "灯", "。"], [0, 100, 200, 300, 400, 500], end_ms=600
    )
    assert [word.text for word in words] == ["您", "好", "路", "灯"]


def test_without_times_words_are_spread_over_the_utterance() -> None:
    assert texts(words_of_tokens("您好", ["您", "好"], [], end_ms=600)) == [("您", 0, 300), ("好", 300, 600)]


def test_confidence_is_the_probability_of_the_words_tokens() -> None:
    words = words_of_tokens(
        "好box", ["好", "▁bo", "x"], [0, 1, 2], end_ms=9, log_probs=[0.0, math.log(0.5), math.log(0.5)]
    )
    assert [round(word.confidence, 3) for word in words] == [1.0, 0.5]


def test_silence_has_no_words() -> None:
    assert words_of_tokens("", [], [], end_ms=500) == ()
    assert words_of_tokens(" 。", ["。"], [0], end_ms=500) == ()


tokens = st.lists(
    st.tuples(st.text("▁ab路灯，@' 1", max_size=4), st.integers(-50, 9000), st.floats(-5, 0.1)), max_size=8
)


@given(st.text("ab路灯，。 '1", max_size=12), tokens, st.integers(0, 8000), st.booleans())
def test_whatever_a_model_says_words_are_ordered_and_within_the_audio(
    text: str, said: list[tuple[str, int, float]], end_ms: int, trusted: bool
) -> None:
    words = words_of_tokens(
        text,
        [token for token, _, _ in said],
        [start for _, start, _ in said],
        end_ms=end_ms,
        log_probs=[probability for _, _, probability in said] if trusted else (),
    )
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
    assert all(0 <= word.start_ms <= word.end_ms <= end_ms for word in words)
    assert (
        "".join(word.text for word in words) == "".join(c for c in text.replace("'", "") if c in "ab路灯1")
        or "'" in text
    )
