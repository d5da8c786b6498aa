"""The site's words: what a line may be, what a file says of its faults."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.words import DEFAULT_WEIGHT, HotWord, format_words, load_words, parse_words
from hotline.errors import ConfigurationError, InvalidInputError

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=20)
WORDS = st.builds(
    HotWord,
    HAN,
    st.integers(1, 100).map(lambda tenth: tenth / 10),
    st.text(st.characters(categories=["L", "N"]), max_size=20),
)


@given(st.lists(WORDS, unique_by=lambda word: word.text))
def test_what_is_written_is_read_again(words: list[HotWord]) -> None:
    assert parse_words(format_words(words)) == (tuple(words), [])


@given(st.text())
def test_any_text_is_read_or_its_faults_are_told(text: str) -> None:
    words, faults = parse_words(text)
    assert faults or parse_words(format_words(words)) == (words, [])


def test_a_word_has_a_weight_and_a_note_where_they_are_given(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("\ufeff# 本站用词\n妫水北街\t3\t路名\n\n煤改电\n5G基站\t2\n妫水北街\t4\n", encoding="utf-8")
    assert load_words(path) == (HotWord("妫水北街", 4), HotWord("煤改电", DEFAULT_WEIGHT), HotWord("5G基站", 2))


def test_no_file_is_no_words(tmp_path: Path) -> None:
    assert load_words(tmp_path / "words.tsv") == ()


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("煤改电\n电\n采暖 费\n妫水\tgern\n妫水\t11\n妫水\tnan\n12345\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_words(path)
    for number in (2, 3, 4, 5, 6, 7):
        assert f"words.tsv:{number}: " in caught.value.message
    assert "words.tsv:1" not in caught.value.message


def test_more_words_than_the_bound_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("煤改电\n妫水\n", encoding="utf-8")
    assert len(load_words(path, limit=2)) == 2
    with pytest.raises(ConfigurationError, match=r"asr\.max_words"):
        load_words(path, limit=1)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_words(path)


@pytest.mark.parametrize("text", ["", "电", "一" * 21, "煤改 电", "煤改电，", "138"])
def test_what_is_no_word_cannot_be_built(text: str) -> None:
    with pytest.raises(InvalidInputError):
        HotWord(text)
