"""Echo of the other side, with real voices at the levels and delays of real lines."""

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.batch import read_channel
from asr.blocks import BLOCK_MS, bytes_of
from asr.crosstalk import WINDOW_MS, EchoGate
from demo.g711 import Law, decode, encode
from hotline.settings_sections import PACKAGE_ROOT

BLOCK, WINDOW = bytes_of(BLOCK_MS, 8000), bytes_of(WINDOW_MS, 8000)
LINE = (1.0, 0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.3)
Voice = NDArray[np.float64]


def voice(path: str, *, level_db: float = -18) -> Voice:
    pcm, _ = read_channel(PACKAGE_ROOT / path, 0)
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    loud = samples[np.abs(samples) > 200]
    return samples * 10 ** (level_db / 20) * 32768 / np.sqrt(np.mean(loud * loud))


def prompt() -> Voice:
    return voice("ivr/prompts/zh/notice.wav")


def caller() -> Voice:
    return voice("demo/callers/gas_smell.wav")


def echo(far: Voice, *, level_db: float, delay_ms: int) -> Voice:
    line = np.array(LINE) / np.linalg.norm(LINE)
    returned = np.convolve(far, line)[: len(far)] * 10 ** (level_db / 20)
    return np.concatenate([np.zeros(delay_ms * 8), returned])[: len(far)]


def over_the_telephone(samples: Voice) -> bytes:
    return decode(encode(np.clip(samples, -32768, 32767).astype(np.int16), Law.PCMA), Law.PCMA).astype("<i2").tobytes()


def shares(near: Voice, far: Voice) -> tuple[int, int]:
    """Blocks silenced, and blocks in which anything sounds."""
    gate, said, played, before = EchoGate(), over_the_telephone(near), over_the_telephone(far), b""
    silenced = sounding = 0
    for at in range(0, len(said) // BLOCK * BLOCK, BLOCK):
        gate.played(played[at : at + BLOCK], at)
        block = said[at : at + BLOCK]
        passed = gate.pass_on(before, block, at)
        assert passed in (block, bytes(BLOCK))
        before = (before + block)[-WINDOW:]
        if np.std(np.frombuffer(block, "<i2")) > 30:
            sounding += 1
            silenced += passed != block
    return silenced, sounding


@pytest.mark.parametrize("delay_ms", [20, 80, 160, 300])
@pytest.mark.parametrize("level_db", [-10, -18, -25])
def test_an_echo_alone_is_silenced(level_db: float, delay_ms: int) -> None:
    far = prompt()
    hiss = np.random.default_rng(0).standard_normal(len(far)) * 8
    silenced, sounding = shares(echo(far, level_db=level_db, delay_ms=delay_ms) + hiss, far)
    assert sounding > 20
    assert silenced >= 0.93 * sounding


@pytest.mark.parametrize("level_db", [-10, -18, -25])
def test_who_speaks_over_the_prompt_is_heard(level_db: float) -> None:
    own, far = caller(), prompt()
    length = min(len(own), len(far))
    own, far = own[:length], far[:length]
    returned = echo(far, level_db=level_db, delay_ms=120)
    loud = np.abs(np.frombuffer(over_the_telephone(own), "<i2")) > 1000
    gate, mixed, played, before = EchoGate(), over_the_telephone(own + returned), over_the_telephone(far), b""
    lost = total = 0
    for at in range(0, len(mixed) // BLOCK * BLOCK, BLOCK):
        gate.played(played[at : at + BLOCK], at)
        block = mixed[at : at + BLOCK]
        if loud[at // 2 : (at + BLOCK) // 2].mean() > 0.2:  # he speaks
            total += 1
            lost += gate.pass_on(before, block, at) != block
        before = (before + block)[-WINDOW:]
    assert total > 15
    assert lost == 0


def test_voices_that_have_nothing_to_do_with_each_other_pass() -> None:
    own, far = caller(), prompt()
    length = min(len(own), len(far))
    silenced, sounding = shares(own[:length], far[:length])
    assert silenced <= 0.02 * sounding


def test_without_a_word_from_the_other_side_everything_passes() -> None:
    own = caller()
    assert shares(own, np.zeros(len(own)))[0] == 0
    assert EchoGate().pass_on(b"", over_the_telephone(own)[:BLOCK], 0) == over_the_telephone(own)[:BLOCK]


def test_what_was_not_told_counts_as_silence_and_what_is_told_again_is_ignored() -> None:
    gate, far, before = EchoGate(), over_the_telephone(prompt()), over_the_telephone(prompt())
    start, delay = 40 * BLOCK, bytes_of(50, 8000)
    gate.played(far[start : start + 10 * BLOCK], start)
    gate.played(before[: 10 * BLOCK], 0)
    at = start + 4 * BLOCK
    returned = far[at - delay : at - delay + BLOCK]
    assert gate.pass_on(far[at - delay - WINDOW : at - delay], returned, at) == bytes(BLOCK)
    assert gate.pass_on(b"", returned, at + 100 * BLOCK) == returned
