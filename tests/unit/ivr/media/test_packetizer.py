import pytest

from ivr.media.packetizer import Packetizer

AUDIO = bytes(index % 251 for index in range(160 * 12))


def push(packetizer, frames, *, skipped=()):
    packets = []
    for number in range(frames):
        if number not in skipped:
            packets += packetizer.push(AUDIO[number * 160 : (number + 1) * 160], position=number * 160)
    return packets


@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 50, 60])
def test_packets_of_any_length_carry_all_audio_at_its_position(ptime_ms):
    packetizer = Packetizer(ptime_ms)
    packets = push(packetizer, 12)
    size = ptime_ms * 8
    assert {len(payload) for _, payload in packets} == {size}
    assert [position for position, _ in packets] == [size * index for index in range(len(AUDIO) // size)]
    rest = list(packetizer.flush())
    assert b"".join(payload for _, payload in packets + rest) == AUDIO
    assert list(packetizer.flush()) == []


def test_what_was_gathered_before_a_gap_goes_out_short():
    packetizer = Packetizer(60)
    packets = push(packetizer, 8, skipped=(4,))
    assert [(position, len(payload)) for position, payload in packets] == [(0, 480), (480, 160), (800, 480)]
    assert packets[2][1] == AUDIO[800:1280]
