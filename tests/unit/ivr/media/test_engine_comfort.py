"""Far ends that fall silent and say what their silence sounds like (RFC 3389)."""

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, FRAME, Ear, Rig, finish

from ivr.media import g711
from ivr.media.comfort import ComfortNoise
from ivr.media.mixer import Party, Role, mix_of
from ivr.media.rtp import COMFORT_NOISE

BRIDGED = mix_of({"caller": Party(Role.CALLER), "seat": Party(Role.SEAT)})
NOISE = ComfortNoise(level=40, coefficients=(60,))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


class Pair:
    """A caller who uses comfort noise, and a seat that hears him."""

    def __init__(self, rig):
        self.rig, self.number, self.sequence = rig, 0, 0
        self.caller, self.seat = rig.phone(), rig.phone()
        self.call, self.ear = rig.open(self.caller, comfort_noise=True)
        self.call.add_leg("seat", listener=Ear(), remote=self.seat.remote)
        self.call.set_mix(BRIDGED)

    def send(self, **changes):
        packet = self.caller.packet(self.number, sequence=self.sequence, **changes)
        self.caller.send(self.call, packet)
        self.sequence += 1

    def talk(self, frames):
        for _ in range(frames):
            self.send()
            self.number += 1
            self.rig.tick()

    def pause(self, frames, noise=NOISE):
        if noise is not None:
            self.send(payload_type=COMFORT_NOISE, payload=noise.serialize())
        self.number += frames
        self.rig.tick(frames)

    def heard(self):
        return g711.decode(b"".join(packet.payload for packet in self.seat.received()), codec=self.seat.codec)


def dbov(samples):
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) / 32768**2)


def test_a_pause_is_heard_as_noise_of_its_level_and_recorded_as_silence(rig):
    pair = Pair(rig)
    pair.talk(20)
    pair.pause(50)
    pair.talk(20)
    heard = pair.heard()
    pause = heard[30 * FRAME : 65 * FRAME]
    assert dbov(pause) == pytest.approx(-40, abs=1.5)
    assert all(frame.any() for frame in pause.reshape(-1, FRAME))
    rig.tick(DELAY_FRAMES + 10)
    finish(rig, pair.call)
    start = DELAY_FRAMES * FRAME
    assert np.array_equal(pair.ear.left[start : start + 20 * FRAME], pair.caller.spoken(0, 20))
    assert not pair.ear.left[start + 20 * FRAME : start + 70 * FRAME].any()
    assert np.array_equal(pair.ear.left[start + 70 * FRAME : start + 90 * FRAME], pair.caller.spoken(70, 90))


def test_voice_goes_on_unchanged_after_a_pause(rig):
    pair = Pair(rig)
    pair.talk(20)
    pair.pause(50)
    pair.talk(30)
    heard = pair.heard()
    spoken = pair.caller.spoken(75, 85)
    starts = np.flatnonzero((heard[: -len(spoken)] == spoken[0]) & (heard[1 : -len(spoken) + 1] == spoken[1]))
    assert any(np.array_equal(heard[start : start + len(spoken)], spoken) for start in starts)


def test_a_gap_that_was_not_announced_fades_to_silence(rig):
    pair = Pair(rig)
    pair.talk(20)
    pair.pause(50, noise=None)
    assert np.abs(pair.heard()[40 * FRAME : 65 * FRAME]).max() <= 8, "but for A-law's silence"


def test_noise_that_is_told_anew_follows(rig):
    pair = Pair(rig)
    pair.talk(20)
    pair.pause(40)
    pair.pause(40, ComfortNoise(level=60))
    heard = pair.heard()
    assert dbov(heard[30 * FRAME : 55 * FRAME]) == pytest.approx(-40, abs=1.5)
    assert dbov(heard[70 * FRAME : 95 * FRAME]) == pytest.approx(-60, abs=1.5)


def test_we_send_no_comfort_noise_agreed_or_not(rig):
    pair = Pair(rig)
    pair.pause(20)
    assert {packet.payload_type for packet in pair.caller.received() + pair.seat.received()} == {pair.seat.codec.value}


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x20\xff"])
def test_bad_comfort_noise_is_counted_and_changes_nothing(rig, payload):
    pair = Pair(rig)
    pair.talk(20)
    pair.send(payload_type=COMFORT_NOISE, payload=payload)
    pair.pause(50, noise=None)
    assert rig.engine.stats().bad == 1
    assert np.abs(pair.heard()[40 * FRAME : 65 * FRAME]).max() <= 8


def test_a_slot_used_again_has_no_noise(rig):
    first = Pair(rig)
    first.pause(10)
    finish(rig, first.call)
    second = Pair(rig)
    second.talk(20)
    second.pause(50, noise=None)
    assert np.abs(second.heard()[40 * FRAME : 65 * FRAME]).max() <= 8
