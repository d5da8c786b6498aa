"""Identity numbers and credit codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speech_rig import speech_of
from test_phones import told

from asr.personal import identity_check
from tickets.extraction.identity import credit_check, find_identity, is_credit_code, is_identity

BODY = "11022919900307123"
NUMBER = BODY + identity_check(BODY)
CROSSED = "110229199003072" + next(f"{n:02}" for n in range(100) if identity_check(f"110229199003072{n:02}") == "X")
SPOKEN = dict(zip("0123456789", "零幺二三四五六七八九", strict=True))
OTHER = SPOKEN[str((int(NUMBER[-1]) + 1) % 10)]
CODE_BODY = "91110229MA01ABCD2"


def values(text: str) -> dict[str, str]:
    return {each.field: each.value for each in find_identity(speech_of(text))}


def spoken(signs: str) -> str:
    return " ".join(SPOKEN.get(sign, sign) for sign in signs)


@pytest.mark.parametrize("cross", ["X", "x", "叉", "艾克斯"])
def test_check_sign_is_said_in_many_ways(cross: str) -> None:
    assert values(f"身份证 是 {spoken(CROSSED)} {cross} 您 记") == {"id_number": CROSSED + "X"}


@pytest.mark.parametrize(
    "text",
    [
        f"我 的 身份证 号 是 {spoken(NUMBER)}",
        f"身份证 {spoken(NUMBER[:6])} | {spoken(NUMBER[6:14])} 嗯 {spoken(NUMBER[14:])}",
        f"身份证 {spoken(BODY)} {OTHER} 不对 最后 一位 是 {SPOKEN[NUMBER[-1]]}",
        f"身份证 {spoken(NUMBER)} 电话 幺三八零零幺三八零零零",
        f"身份证 {NUMBER}",
    ],
)
def test_identity_number_is_understood_as_it_is_told(text: str) -> None:
    assert values(text) == {"id_number": NUMBER}


@pytest.mark.parametrize(
    "text",
    [
        f"身份证 {spoken(NUMBER[:-1])}",
        f"身份证 {spoken(BODY)} {OTHER}",
        "身份证 忘 带 了",
        "幺三八零零幺三八零零零",
    ],
)
def test_number_that_was_not_heard_right_is_not_given(text: str) -> None:
    assert values(text) == {}


def test_day_of_birth_must_be_one() -> None:
    body = "11022919900230123"
    assert not is_identity(body + identity_check(body))


def test_credit_code_is_told_with_its_letters() -> None:
    code = CODE_BODY + credit_check(CODE_BODY)
    assert values(f"信用 代码 是 {spoken(code)}") == {"credit_code": code}
    assert values(f"信用 代码 是 {spoken(code.lower())}") == {"credit_code": code}


def test_published_credit_code_holds() -> None:
    assert is_credit_code("91350100M000100Y43")  # the example of GB 32100-2015
    assert not is_credit_code("91350100M000100Y44")


@given(
    body=st.from_regex(r"110229(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])[0-9]{3}", fullmatch=True),
    data=st.data(),
)
def test_any_identity_number_comes_out_right(body: str, data: st.DataObject) -> None:
    number = body + identity_check(body)
    tail = " 叉" if number[-1] == "X" else data.draw(told(number[-1]))
    assert values("身份证 " + data.draw(told(body)) + " " + tail) == {"id_number": number}
