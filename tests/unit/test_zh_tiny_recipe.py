"""The pure parts of the recipe of the bundled model (`tools/zh_tiny`)."""

import random
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from zh_tiny.grammar import Grammar  # noqa: E402
from zh_tiny.kaldi import Affine, phone_number, phone_outputs, word_boundaries, write_model  # noqa: E402
from zh_tiny.language_model import BEGIN, KneserNey, Mixture, prune  # noqa: E402
from zh_tiny.lexicon import Lexicon, phones_of, read_aloud, split_unknown  # noqa: E402
from zh_tiny.phones import PHONES, phones_of_syllable, split_syllable  # noqa: E402
from zh_tiny.spoken import DIGITS, NUMBERS, cardinal, grouped, mobile_number, read_digits  # noqa: E402

TEXT = ROOT / "tools/zh_tiny/text"
SPEAKABLE = re.compile(r"[\u4e00-\u9fa5，。]+")


def sentences(name: str) -> list[str]:
    lines = (TEXT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def han(text: str) -> str:
    return re.sub(r"[^\u4e00-\u9fa5]", "", text)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "零"),
        (10, "十"),
        (12, "十二"),
        (20, "二十"),
        (105, "一百零五"),
        (110, "一百一十"),
        (203, "二百零三"),
        (1010, "一千零一十"),
        (3005, "三千零五"),
        (20_000, "两万"),
        (20_500, "两万零五百"),
        (120_000, "十二万"),
    ],
)
def test_numbers_are_read_as_people_say_them(number: int, said: str) -> None:
    assert cardinal(number) == said


def test_one_is_said_yao_in_a_telephone_number() -> None:
    assert read_digits("13810", yao=True) == "幺三八幺零"
    assert read_digits("13810", yao=False) == "一三八一零"


@given(st.integers(0, 10**9))
def test_grouping_a_number_loses_no_digit(seed: int) -> None:
    rng = random.Random(seed)
    number = mobile_number(rng)
    assert len(number) == 11
    said = grouped(rng, number).replace("，", "").replace("幺", "一")
    assert "".join(str(DIGITS.index(digit)) for digit in said) == number


@given(st.sampled_from(sorted(NUMBERS)), st.integers(0, 10**9))
def test_every_number_slot_can_be_spoken(name: str, seed: int) -> None:
    assert SPEAKABLE.fullmatch(NUMBERS[name](random.Random(seed)))


@given(st.integers(0, 10**9))
def test_the_grammar_yields_speakable_sentences(seed: int) -> None:
    assert SPEAKABLE.fullmatch(GRAMMAR.sentence(random.Random(seed)))


def test_a_slot_without_a_rule_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grammar.txt"
    path.write_text("@sentence\n你好{nobody}\n", "utf-8")
    with pytest.raises(ValueError, match="nobody"):
        Grammar.read(path)


def test_the_grammar_is_the_same_for_the_same_seed() -> None:
    assert [GRAMMAR.sentence(random.Random(5)) for _ in range(3)] == [GRAMMAR.sentence(random.Random(5))] * 3


@pytest.mark.parametrize("path", sorted(TEXT.glob("[st][eu]*.txt")), ids=lambda path: path.name)
def test_sentences_can_be_spoken(path: Path) -> None:
    assert [line for line in sentences(path.name) if not SPEAKABLE.fullmatch(line)] == []


def test_test_and_tuning_sentences_are_in_no_training_text() -> None:
    training = {han(line) for path in TEXT.glob("sentences*.txt") for line in sentences(path.name)}
    held_out = {han(line) for name in ("test.txt", "tuning.txt") for line in sentences(name)}
    assert held_out
    assert not held_out & training
    assert not {han(line) for line in sentences("test.txt")} & {han(line) for line in sentences("tuning.txt")}


@pytest.mark.parametrize(
    ("pinyin", "phones"),
    [
        ("zhuang4", ("zh", "uang4")),
        ("zhi1", ("zh", "iii1")),
        ("zi3", ("z", "ii3")),
        ("xue2", ("x", "ve2")),
        ("jun1", ("j", "vn1")),
        ("lv4", ("l", "v4")),
        ("lü4", ("l", "v4")),
        ("nve4", ("n", "ve4")),
        ("liu2", ("l", "iou2")),
        ("dui4", ("d", "uei4")),
        ("wen2", ("^", "uen2")),
        ("wu3", ("^", "u3")),
        ("yi1", ("^", "i1")),
        ("yuan2", ("^", "van2")),
        ("you3", ("^", "iou3")),
        ("yong4", ("^", "iong4")),
        ("er2", ("^", "er2")),
        ("n4", ("^", "en4")),
    ],
)
def test_syllables_become_initial_and_final(pinyin: str, phones: tuple[str, str]) -> None:
    assert split_syllable(pinyin) == phones
    initial, final = phones
    assert phones_of_syllable(pinyin) == (initial, f"{final}<", f"{final}>")
    assert set(phones_of_syllable(pinyin)) <= set(PHONES)


@pytest.mark.parametrize("nonsense", ["", "zhang", "xyz1", "bing6", "4"])
def test_what_is_no_syllable_is_refused(nonsense: str) -> None:
    with pytest.raises(ValueError, match="syllable"):
        split_syllable(nonsense)


def test_every_word_of_the_texts_has_a_pronunciation() -> None:
    rng = random.Random(3)
    lines = [GRAMMAR.sentence(rng) for _ in range(400)]
    lines += [line for path in TEXT.glob("[st][eu]*.txt") for line in sentences(path.name)]
    for line in [*lines, *sentences("words.txt")]:
        phrase = han(line)
        syllables = read_aloud(phrase)
        assert len(syllables) == len(phrase), line
        assert set(phones_of(syllables)) <= set(PHONES), line


def test_pronunciations_come_from_the_phrase_with_their_share() -> None:
    lexicon = Lexicon.build([[["银行", "关", "门"]], [["行", "了"]], [["行", "吗"]]], ["银行", "行", "路灯"])
    assert lexicon.words["银行"] == {phones_of(["yin2", "hang2"]): 1.0}
    assert lexicon.words["行"] == {phones_of(["xing2"]): 1.0}
    assert lexicon.words["路灯"] == {("l", "u4<", "u4>", "d", "eng1<", "eng1>"): 1.0}


def test_an_unknown_word_is_split_into_its_longest_known_parts() -> None:
    known = {"人行", "横道", "人行横道", "线"}
    assert split_unknown("人行横道", known) == ["人行横道"]
    assert split_unknown("人行横道线", known) == ["人行横道", "线"]
    assert split_unknown("白线", known) == ["白", "线"]


def test_pruned_language_model_is_a_probability_distribution() -> None:
    words = ["暖气", "不", "热", "路灯", "坏", "了"]
    text = [["暖气", "不", "热"], ["路灯", "坏", "了"], ["路灯", "不", "热", "了"], ["暖气", "坏", "了"]]
    base = dict.fromkeys([*words, "</s>"], 1 / 7)
    mixture = Mixture(((0.7, KneserNey(text, base)), (0.3, KneserNey(text[:2], base))))
    model = prune(mixture, words, bigrams=6, trigrams=3)
    assert model.trigrams
    everything = [*words, "</s>"]
    assert sum(model.unigrams.values()) == pytest.approx(1)
    for first in [*words, BEGIN]:
        assert sum(model.bigram(first, word) for word in everything) == pytest.approx(1)
        for second in words:
            assert sum(model.trigram(first, second, word) for word in everything) == pytest.approx(1)
    assert model.perplexity(text) < len(everything)


def test_phones_have_a_number_for_each_place_in_a_word() -> None:
    numbers = [phone_number(0, "begin")]
    numbers += [phone_number(output, place) for output in (1, 2) for place in ("begin", "end", "internal", "singleton")]
    assert numbers == list(range(1, 10))
    assert phone_outputs(3) == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert word_boundaries(2).splitlines() == ["1 nonword", "2 begin", "3 end", "4 internal", "5 singleton"]


def read_back(data: bytes, token: bytes, at: int = 0) -> int:
    """Where the value after a token begins."""
    return data.index(token + b" ", at) + len(token) + 1


def test_acoustic_model_is_written_as_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Affine(rng.normal(size=(4, 6)).astype(np.float32), np.arange(4, dtype=np.float32), (-1, 0, 1))
    large = Affine(rng.normal(size=(3, 4)).astype(np.float32), np.ones(3, np.float32), (0,))
    path = tmp_path / "final.mdl"
    write_model(path, [small, large], inputs=2, context=1, priors=[0.5, 0.25, 0.25])
    data = path.read_bytes()
    assert data.startswith(b"\0B<TransitionModel> <Topology> ")
    at = read_back(data, b"<LinearParams>")
    assert data[at : at + 3] == b"FM "
    rows, columns = struct.unpack("<xixi", data[at + 3 : at + 13])
    assert (rows, columns) == (4, 6)
    values = np.frombuffer(data, "<f4", 24, at + 13).reshape(4, 6)
    assert np.array_equal(values, small.weight)
    assert b"Append(Offset(input, -1), input, Offset(input, 1))" in data
    priors = read_back(data, b"<Priors>") + len("FV ") + 5
    assert np.frombuffer(data, "<f4", 3, priors).tolist() == [0.5, 0.25, 0.25]


def test_large_matrices_are_written_in_sixteen_bits(tmp_path: Path) -> None:
    weight = np.linspace(-1, 1, 300 * 100, dtype=np.float32).reshape(300, 100)
    layers = [Affine(weight, np.zeros(300, np.float32), (0,))]
    path = tmp_path / "final.mdl"
    write_model(path, layers, inputs=100, context=0, priors=[1 / 300] * 300)
    data = path.read_bytes()
    at = read_back(data, b"CM2")
    low, extent, rows, columns = struct.unpack("<ffii", data[at : at + 16])
    assert (rows, columns) == (300, 100)
    stored = np.frombuffer(data, "<u2", weight.size, at + 16).reshape(300, 100)
    assert np.allclose(low + stored * (extent / 65535), weight, atol=extent / 65535)


def test_priors_must_fit_the_outputs(tmp_path: Path) -> None:
    layer = Affine(np.zeros((2, 2), np.float32), np.zeros(2, np.float32), (0,))
    with pytest.raises(ValueError, match="3 priors for 2 outputs"):
        write_model(tmp_path / "final.mdl", [layer], inputs=2, context=0, priors=[0.2, 0.3, 0.5])


GRAMMAR = Grammar.read(TEXT / "grammar.txt")
