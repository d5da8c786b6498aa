import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.figures import SPOKEN_DIGITS
from asr.personal import (
    MAX_PAUSE_MS,
    Kind,
    digits_of,
    find_numbers,
    identity_check,
    kind_of,
    luhn_sum,
    open_number,
    spoken_spans,
)
from recordings.redaction import AudioSpan

SPOKEN = {digit: [spoken for spoken, value in SPOKEN_DIGITS.items() if value == digit] for digit in "0123456789"}


@dataclass
class Said:
    speaker: str
    start_ms: int
    end_ms: int
    text: str
    words: list = field(default_factory=list)


def said(text, *, speaker="caller", at=0, step=200, shown=None):
    """Words (blanks between them), each as long as it has characters, as people read them or as `shown`."""
    words, now = [], at
    for word in text.split():
        words.append([word, now, now + step * len(word), 0.9])
        now += step * len(word)
    return Said(speaker, at, now, shown or "".join(text.split()), words)


def spans(*segments):
    return spoken_spans(segments)


@pytest.mark.parametrize(
    ("digits", "kind"),
    [
        ("13800138000", Kind.MOBILE),
        ("8613800138000", Kind.MOBILE),
        ("12800138000", Kind.NUMBER),
        ("11010519491231002X", Kind.IDENTITY),
        ("110105194912310021", Kind.NUMBER),
        ("6222021234567890128", Kind.BANK_CARD),
        ("6222021234567890123", Kind.NUMBER),
        ("01069101234", Kind.NUMBER),
    ],
)
def test_form_and_check_digit_tell_what_a_number_is(digits, kind):
    assert kind_of(digits) is kind


@given(st.text("0123456789", min_size=17, max_size=17).filter(lambda digits: digits[0] != "0"), st.integers(0, 16))
def test_an_identity_number_with_one_wrong_digit_is_none(digits, place):
    whole = digits + identity_check(digits)
    assert kind_of(whole) in (Kind.IDENTITY, Kind.BANK_CARD)
    wrong = whole[:place] + str((int(whole[place]) + 1) % 10) + whole[place + 1 :]
    assert kind_of(wrong) is not Kind.IDENTITY


@given(st.text("0123456789", min_size=2, max_size=19))
def test_the_luhn_sum_tells_every_single_wrong_digit(digits):
    wrong = str((int(digits[0]) + 3) % 10) + digits[1:]
    assert luhn_sum(digits) % 10 != luhn_sum(wrong) % 10


@pytest.mark.parametrize(
    "told",
    [
        "13800138000",
        "幺三八零零幺三八零零零",
        "幺三八嗯零零幺三对八零零零",
        "幺三八，零零幺三，啊，八零零零",
        "一三八，是吧，零零一三。八零零零",
        "幺三八又零零幺三八零零零",  # one word misheard
        "1380013她8000",
        "１３８００１３８０００",
    ],
)
def test_a_number_is_found_however_it_is_told(told):
    text = f"我的电话是{told}谢谢"
    (number,) = find_numbers(text)
    assert text[number.start : number.end] == told
    assert number.kind is (Kind.MOBILE if len(digits_of(told)) == 11 else Kind.NUMBER)


@pytest.mark.parametrize(
    "text",
    [
        "2026年11月15日14点30分来电",
        "3号楼2单元501室，一共5个人，6号去的",
        "我打了三四次，五六个人来看过，七八天没修好",
        "一百二十三点五度，两万三千块",
        "工单号是YQ20261124000016",
        "二零二六年，拨打12345",
        "",
    ],
)
def test_dates_amounts_rooms_and_ticket_numbers_are_no_personal_numbers(text):
    assert find_numbers(text) == []


@given(
    st.text("0123456789", min_size=6, max_size=19),
    st.integers(0, 2**32),
    st.sampled_from(["", "，", "嗯", "，那个", "。"]),
)
def test_no_digit_is_outside_what_is_found(digits, seed, pause):
    choose = random.Random(seed)
    told = "".join(
        choose.choice([digit, *SPOKEN[digit]]) + (pause if choose.random() < 0.3 else "") for digit in digits
    )
    text = f"号码{told}完"
    found = find_numbers(text)
    outside = "".join(
        character for at, character in enumerate(text) if not any(item.start <= at < item.end for item in found)
    )
    assert digits_of(outside) == ""
    assert "".join(digits_of(text[item.start : item.end]) for item in found) == digits


def test_long_texts_are_read_in_linear_time():
    for text in ("一二" * 50_000, "一二对的啊" * 20_000, "一二我" * 30_000):
        find_numbers(text)  # seconds, were it quadratic: the test would not end


@pytest.mark.parametrize(("text", "digits"), [("电话138", "138"), ("电话1。", "1"), ("电话", ""), ("3号", "")])
def test_digits_at_the_end_may_go_on(text, digits):
    number = open_number(text)
    assert (digits_of(text[number.start : number.end]) if number else "") == digits


def test_a_number_is_hidden_from_its_first_word_to_its_last():
    segment = said("我 的 电话 是 幺 三 八 零零 幺 三 八 零 零 零 谢谢")
    # four words of five characters before it, eleven digits
    assert set(spans(segment)) == {AudioSpan(1000, 3200)}


def test_a_number_told_in_several_breaths_is_hidden_with_what_lies_between():
    parts = [said("幺 三 八", at=0), said("零 零 幺 三", at=1500), said("八 零 零 零", at=3500)]
    assert set(spans(*parts)) == {AudioSpan(0, 4300)}
    parts[1:] = [said("零 零 幺 三", at=1500), said("八 零 零 零", at=2300 + MAX_PAUSE_MS + 1)]
    assert set(spans(*parts)) == {AudioSpan(0, 2300), AudioSpan(2301 + MAX_PAUSE_MS, 3101 + MAX_PAUSE_MS)}


def test_each_speakers_digits_are_a_row_of_their_own():
    caller = [said("幺 三 八", at=0), said("零 零 幺", at=3000)]
    seat = said("幺 三 八 啊 谢谢", speaker="seat", at=1000)
    assert set(spans(*caller, seat)) == {AudioSpan(0, 3600)}


def test_a_code_read_by_an_announcement_hides_the_whole_of_it():
    announcement = said("查 询 码 是 4 8 2 9 1 3", speaker="hotline", at=5000)
    assert set(spans(announcement)) == {AudioSpan(5000, 7000)}


def test_digits_that_only_the_words_or_only_the_text_have_are_hidden():
    edited = said("幺 三 八 零 零 幺 三 八 零 零 零", shown="电话已隐去")
    assert AudioSpan(0, 2200) in spans(edited)
    typed = Said("caller", 100, 900, "电话13800138000", [])
    assert spans(typed) == [AudioSpan(100, 900)]
    damaged = Said("caller", 100, 900, "电话13800138000", [["x"], 3])
    assert spans(damaged) == [AudioSpan(100, 900)]
