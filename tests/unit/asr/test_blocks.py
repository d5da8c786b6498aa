from hypothesis import given
from hypothesis import strategies as st

from asr.blocks import Blocks


@given(st.lists(st.binary(max_size=5000), max_size=20))
def test_blocks_and_rest_are_the_audio_without_a_torn_sample(chunks: list[bytes]) -> None:
    blocks = Blocks(8000)
    whole = [block for chunk in chunks for block in blocks.push(chunk)]
    audio = b"".join(chunks)
    assert all(len(block) == 1600 for block in whole)
    assert b"".join(whole) + blocks.rest() == audio[: len(audio) // 2 * 2]
    assert blocks.rest() == b""
