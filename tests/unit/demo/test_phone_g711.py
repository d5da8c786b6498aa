import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.g711 import Law, decode, encode


@pytest.mark.parametrize(
    ("law", "code", "value"),
    [  # ITU-T G.711 tables 1a-2b, left-aligned to 16 bits
        (Law.PCMA, 0xD5, 8),
        (Law.PCMA, 0x55, -8),
        (Law.PCMA, 0xAA, 32256),
        (Law.PCMA, 0x2A, -32256),
        (Law.PCMA, 0xC5, 264),
        (Law.PCMU, 0xFF, 0),
        (Law.PCMU, 0x80, 32124),
        (Law.PCMU, 0x00, -32124),
        (Law.PCMU, 0xEF, 132),
    ],
)
def test_codes_stand_for_the_recommended_values(law: Law, code: int, value: int) -> None:
    assert decode(bytes([code]), law)[0] == value


@pytest.mark.parametrize("law", Law)
def test_every_code_survives_a_round_trip(law: Law) -> None:
    values = decode(bytes(range(256)), law)
    assert (decode(encode(values, law), law) == values).all()


@given(st.integers(-32768, 32767), st.sampled_from(Law))
def test_the_nearest_code_is_chosen(value: int, law: Law) -> None:
    table = decode(bytes(range(256)), law).astype(int)
    chosen = int(decode(encode(np.array([value], np.int16), law), law)[0])
    assert abs(chosen - value) == np.abs(table - value).min()


@pytest.mark.parametrize("law", Law)
def test_silence_is_nearly_zero(law: Law) -> None:
    assert abs(int(decode(bytes([law.silence]), law)[0])) <= 8
