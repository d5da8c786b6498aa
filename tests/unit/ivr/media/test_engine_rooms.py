"""Calls of several parties over real loopback sockets: who hears whom, and what is recorded of whom."""

from dataclasses import replace

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, EVENTS, FRAME, Ear, Rig, finish

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media import g711
from ivr.media.dtmf import event_payloads
from ivr.media.mixer import Party, Role, Supervision, mix_of
from ivr.media.types import Codec

CALLER = Party(Role.CALLER)
SEAT = Party(Role.SEAT)
BRIDGED = mix_of({"caller": CALLER, "seat": SEAT})


@pytest.fixture
def rig():
    rig = Rig(max_legs=8)
    yield rig
    rig.close()


class Conversation:
    """A caller and others, each on a phone that says one constant sample so that sums tell who is heard."""

    def __init__(self, rig, **levels):
        self.rig = rig
        self.number = 0
        self.phones, self.ears, self.legs, self.octets = {}, {}, {}, {}
        for name, level in levels.items():
            phone = rig.phone()
            octet = g711.encode(np.array([level], np.int16), codec=Codec.PCMA)
            self.octets[name] = octet
            self.phones[name] = phone
            if name == "caller":
                self.call, self.ears[name] = rig.open(phone)
                self.legs[name] = self.call
            else:
                self.ears[name] = Ear()
                self.legs[name] = self.call.add_leg(
                    name, listener=self.ears[name], remote=phone.remote, tap=self.ears[name]
                )

    def level(self, name):
        return int(g711.decode(self.octets[name], codec=Codec.PCMA)[0])

    def talk(self, ticks, *, silent=()):
        for _ in range(ticks):
            for name, phone in self.phones.items():
                if name not in silent:
                    phone.send(self.legs[name], phone.packet(self.number, payload=self.octets[name] * FRAME))
            self.number += 1
            self.rig.tick()

    def hears(self, name):
        """What a phone was sent since it was last asked, as samples."""
        packets = self.phones[name].received()
        return g711.decode(b"".join(packet.payload for packet in packets), codec=Codec.PCMA).astype(int)


def about(level):
    """A-law's steps are 1/16 of the level at most."""
    return pytest.approx(level, abs=abs(level) / 16 + 16)


def test_caller_and_seat_hear_each_other_and_nobody_himself(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(10)
    assert talk.hears("caller")[-1] == talk.level("seat")
    assert talk.hears("seat")[-1] == talk.level("caller")


def test_without_a_mix_a_new_leg_is_heard_by_nobody(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.talk(10)
    assert np.abs(talk.hears("caller")).max() <= 8
    assert np.abs(talk.hears("seat")).max() <= 8


@pytest.mark.parametrize(
    ("mode", "caller", "seat"),
    [(Supervision.LISTEN, 3000, 1000), (Supervision.WHISPER, 3000, 6000), (Supervision.BARGE, 8000, 6000)],
)
def test_supervisor_is_heard_by_those_he_speaks_to(rig, mode, caller, seat):
    talk = Conversation(rig, caller=1000, seat=3000, boss=5000)
    talk.call.set_mix(mix_of({"caller": CALLER, "seat": SEAT, "boss": Party(Role.SUPERVISOR, supervision=mode)}))
    talk.talk(10)
    assert talk.hears("caller")[-1] == about(caller)
    assert talk.hears("seat")[-1] == about(seat)
    assert talk.hears("boss")[-1] == about(4000)


def test_loud_voices_saturate_and_do_not_wrap(rig):
    talk = Conversation(rig, caller=30000, seat=30000, other=30000)
    talk.call.set_mix(mix_of({"caller": CALLER, "seat": SEAT, "other": SEAT}))
    talk.talk(10)
    assert talk.hears("caller")[-1] > 31000


def test_mute_and_unmute_ramp_without_a_click(rig):
    talk = Conversation(rig, caller=1000, seat=8000)
    talk.call.set_mix(BRIDGED)
    talk.talk(10)
    talk.hears("caller")
    talk.call.set_mix(mix_of({"caller": CALLER, "seat": Party(Role.SEAT, muted=True)}))
    talk.talk(2)
    falling = talk.hears("caller")
    assert np.abs(np.diff(falling)).max() <= 512  # a step of A-law at that level
    assert abs(falling[-1]) <= 8
    assert talk.hears("seat")[-1] == talk.level("caller")


def test_each_law_is_spoken_to_its_own_phone(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    phone = talk.phones["seat"]
    talk.legs["seat"].update(replace(phone.remote, codec=Codec.PCMU))
    talk.call.set_mix(BRIDGED)
    talk.talk(10)
    packet = phone.received()[-1]
    assert packet.payload_type == Codec.PCMU.value
    assert int(g711.decode(packet.payload, codec=Codec.PCMU)[-1]) == about(1000)


def test_prompt_to_the_caller_and_a_voice_are_heard_together_and_both_recorded(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(10)
    talk.hears("caller")
    talk.call.play(np.full(5 * FRAME, 2000, np.int16), token=1)
    talk.talk(10)
    heard = talk.hears("caller")
    assert heard[0] == about(5000)
    assert heard[-1] == talk.level("seat")
    finish(rig, talk.call)
    right = talk.ears["caller"].right.astype(int)
    assert right[10 * FRAME + 80] == about(5000)
    assert ("played", 1, True, 300) in talk.ears["caller"].events


def test_prompt_to_the_seat_is_heard_by_the_seat_alone(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.legs["seat"].play(np.full(5 * FRAME, 2000, np.int16), token=4)
    talk.talk(10)
    assert talk.hears("seat").max() == about(2000)
    assert np.abs(talk.hears("caller")).max() <= 8
    finish(rig, talk.call)
    assert np.abs(talk.ears["caller"].right).max() <= 8
    assert ("played", 4, True, 100) in talk.ears["seat"].events


def test_recording_has_the_caller_alone_left_and_the_others_right_sample_by_sample(rig):
    caller, seat = rig.phone(), rig.phone(Codec.PCMU)
    call, ear = rig.open(caller)
    seat_ear, track = Ear(), Ear()
    leg = call.add_leg("seat", listener=seat_ear, remote=seat.remote, tap=seat_ear, track=track)
    call.set_mix(BRIDGED)
    for number in range(60):
        caller.send(call, caller.packet(number))
        if number % 7:
            seat.send(leg, seat.packet(number))
        rig.tick()
    finish(rig, call)
    start = DELAY_FRAMES * FRAME
    assert np.array_equal(ear.left[start:], caller.spoken(0, 60))
    spoken = seat.spoken(0, 60).reshape(60, FRAME).copy()
    spoken[::7] = 0
    ends = 57  # the call ended when this had been heard of the seat
    silence = int(g711.decode(b"\xd5", codec=Codec.PCMA)[0])
    right = ear.right[start : start + ends * FRAME].reshape(ends, FRAME).astype(int) - silence
    expected = np.clip(spoken[:ends].astype(int) + silence, -32768, 32767) - silence
    assert np.array_equal(right[2:], expected[2:])
    said = np.concatenate([np.zeros((DELAY_FRAMES, FRAME), np.int16), spoken[:ends]]).ravel()
    assert np.array_equal(np.concatenate(track.blocks)[:, 0], said)
    assert b"".join(seat_ear.tapped) == said.tobytes()
    assert track.closed == 1


@pytest.mark.parametrize("tap", [True, False])
def test_calls_are_recorded_alike_whether_all_at_once_or_leg_by_leg(rig, tap):
    prompt = np.full(40 * FRAME, 20_000, np.int16)
    talks = []
    for track in (None, Ear()):
        caller, seat = rig.phone(), rig.phone()
        if talks:
            caller.audio, seat.audio = talks[0][0].audio, talks[0][1].audio
        call, ear = rig.open(caller, tap=tap)
        heard = Ear()
        leg = call.add_leg("seat", listener=heard, remote=seat.remote, tap=heard if tap else None, track=track)
        call.set_mix(BRIDGED)
        talks.append((caller, seat, call, ear, leg, heard))
    for number in range(80):
        for caller, seat, call, _, leg, _ in talks:
            if number == 20:
                call.play(prompt, token=1)
            if number % 16:  # a lost packet, and a pause of one side
                caller.send(call, caller.packet(number))
            if not 40 < number < 50:
                seat.send(leg, seat.packet(number))
        rig.tick()
    for _, _, call, *_ in talks:
        call.close()
    rig.tick()
    (_, _, _, at_once, _, tapped), (_, _, _, by_leg, _, tapped_too) = talks
    assert np.array_equal(at_once.stereo, by_leg.stereo)
    assert np.abs(at_once.right.astype(int)).max() > 32_000  # prompt and voice together saturate
    assert b"".join(tapped.tapped) == b"".join(tapped_too.tapped)
    assert tap == bool(tapped.tapped)


def test_muted_seat_is_not_recorded_and_a_whisper_is(rig):
    talk = Conversation(rig, caller=1000, seat=3000, boss=5000)
    boss = Party(Role.SUPERVISOR, supervision=Supervision.WHISPER)
    talk.call.set_mix(mix_of({"caller": CALLER, "seat": Party(Role.SEAT, muted=True), "boss": boss}))
    talk.talk(40)
    finish(rig, talk.call)
    right = talk.ears["caller"].right.astype(int)
    assert right[20 * FRAME] == talk.level("boss") + 8
    assert (talk.ears["caller"].left[10 * FRAME : 30 * FRAME] == talk.level("caller")).all()


def test_paused_recording_is_silence_of_the_right_length_on_both_sides_and_to_the_tap(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(30)
    talk.call.pause_recording()
    talk.talk(30)
    talk.call.resume_recording()
    talk.talk(30)
    assert talk.hears("caller")[45 * FRAME] == talk.level("seat")
    finish(rig, talk.call)
    ear = talk.ears["caller"]
    frames = ear.stereo[: 90 * FRAME].reshape(90, FRAME, 2)
    assert not frames[31:60].any()
    assert (frames[20:30] != 0).all()
    assert (frames[61:90] != 0).all()
    assert b"".join(ear.tapped) == ear.left.tobytes()
    assert not np.frombuffer(b"".join(talk.ears["seat"].tapped), np.int16)[31 * FRAME : 60 * FRAME].any()


def test_music_plays_on_until_it_is_stopped_and_is_recorded(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    call.play(np.full(100, 4000, np.int16), token=1, loop=True)
    rig.tick(20)
    call.stop_playing()
    rig.tick(5)
    assert ear.events == [("played", 1, False, 400)]
    finish(rig, call)
    loud = np.abs(ear.right.reshape(-1, FRAME)).max(axis=1) > 100
    assert loud.tolist() == [True] * 20 + [False] * 5


def test_leg_without_a_remote_is_silent_and_deaf_until_the_answer(rig):
    caller, seat = rig.phone(), rig.phone()
    call, _ = rig.open(caller)
    ear = Ear()
    leg = call.add_leg("seat", listener=ear, remote=None)
    call.set_mix(BRIDGED)
    rig.tick(2)
    seat.send(leg, seat.packet(0))
    rig.tick(3)
    assert seat.received() == []
    assert leg.local_port % 2 == 0
    leg.update(seat.remote)
    rig.tick(3)
    assert len(seat.received()) == 3


def test_seat_that_leaves_is_heard_no_more_and_the_call_goes_on(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(20)
    talk.legs["seat"].close()
    talk.hears("caller")
    talk.talk(40, silent=["seat"])
    assert np.abs(talk.hears("caller")).max() <= 8
    assert rig.engine.stats().legs == 1
    talk.call.add_leg("seat", listener=Ear(), remote=talk.phones["seat"].remote)
    finish(rig, talk.call)
    right = talk.ears["caller"].right.astype(int)
    assert right[19 * FRAME] == talk.level("seat") + 8
    assert np.abs(right[21 * FRAME :]).max() <= 8
    assert talk.ears["caller"].closed == 1


def test_the_callers_leaving_ends_every_leg_and_frees_its_slot(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    track = Ear()
    third = talk.call.add_leg("boss", listener=track, remote=talk.phones["seat"].remote, track=track)
    third.play(np.ones(FRAME * 50, np.int16), token=8)
    talk.talk(5)
    finish(rig, talk.call)
    assert rig.engine.stats().legs == rig.engine.stats().calls == 0
    assert ("played", 8, False, 100) in track.events
    assert track.closed == 1
    with pytest.raises(UnavailableError, match="over"):
        talk.call.add_leg("late", listener=Ear(), remote=None)


def test_leg_added_while_the_call_closes_is_freed(rig):
    call, _ = rig.open(rig.phone())
    rig.tick()
    call.close()
    track = Ear()
    leg = call.add_leg("seat", listener=Ear(), remote=None, track=track)
    leg.play(np.ones(FRAME, np.int16), token=3)
    rig.tick(2)
    assert track.closed == 1
    assert len([rig.open(rig.phone()) for _ in range(4)]) == 4


def test_seat_whose_own_code_raises_leaves_the_caller_alone(rig, caplog):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)

    def fail(_):
        raise RuntimeError("broken on purpose")

    talk.ears["seat"].feed = fail
    talk.talk(40)
    assert ("timeout",) in talk.ears["seat"].events
    assert ("timeout",) not in talk.ears["caller"].events
    assert rig.engine.stats().failures == 1
    finish(rig, talk.call)
    assert len(talk.ears["caller"].left) >= 40 * FRAME


def test_silent_desk_phone_holds_back_neither_captions_nor_the_recording_for_long(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(100, silent=["seat"])
    ear = talk.ears["caller"]
    assert len(b"".join(ear.tapped)) // 2 >= 85 * FRAME
    assert len(ear.left) >= 40 * FRAME


def test_attended_transfer_takes_a_seat_into_another_call(rig):
    first = Conversation(rig, caller=1000, seat=3000)
    second = Conversation(rig, caller=5000)
    first.call.set_mix(BRIDGED)
    first.talk(20)
    second.call.adopt(first.legs["seat"], "expert")
    second.call.set_mix(mix_of({"caller": CALLER, "expert": SEAT}))
    for _ in range(30):
        first.talk(1)
        phone = second.phones["caller"]
        phone.send(second.call, phone.packet(first.number, payload=second.octets["caller"] * FRAME))
    assert second.hears("caller")[-1] == first.level("seat")
    assert first.hears("seat")[-1] == second.level("caller")
    assert np.abs(first.hears("caller")[-FRAME:]).max() <= 8
    finish(rig, first.call)
    finish(rig, second.call)
    before = first.ears["caller"].right.astype(int)
    assert before[19 * FRAME] == first.level("seat") + 8
    assert np.abs(before[21 * FRAME :]).max() <= 8
    after = second.ears["caller"].right.astype(int)
    assert np.abs(after[: 20 * FRAME]).max() <= 8
    assert after[25 * FRAME] == first.level("seat") + 8


def test_a_callers_leg_can_be_adopted_and_its_own_call_ends(rig):
    first = Conversation(rig, caller=1000, seat=3000)
    second = Conversation(rig, caller=5000)
    first.talk(10)
    second.call.adopt(first.call, "first")
    second.call.set_mix(mix_of({"caller": CALLER, "first": CALLER}) | {("caller", "first"): 1.0})
    first.call.set_mix({})  # it has no say here
    rig.tick(20, before=lambda _: first.phones["caller"].send(first.call, first.phones["caller"].packet(first.number)))
    assert first.ears["caller"].closed == 1
    assert len(first.ears["caller"].left) == 10 * FRAME
    assert rig.engine.stats().calls == 1
    assert rig.engine.stats().legs == 2
    finish(rig, first.call)
    assert rig.engine.stats().legs == 1
    finish(rig, second.call)


def test_names_are_given_once(rig):
    call, _ = rig.open(rig.phone())
    call.add_leg("seat", listener=Ear(), remote=None)
    for taken in ("seat", "caller", "recording"):
        with pytest.raises(InvalidInputError, match="already"):
            call.add_leg(taken, listener=Ear(), remote=None)


@pytest.mark.parametrize("mix", [{("a", "a"): 1.0}, {("a", "b"): 1.5}, {("a", "recording"): 1.0}])
def test_impossible_mix_is_refused_where_it_is_given(rig, mix):
    call, _ = rig.open(rig.phone())
    with pytest.raises(InvalidInputError, match="mix"):
        call.set_mix(mix)


def test_calls_and_legs_are_bounded_apart():
    rig = Rig(max_calls=1, max_legs=2)
    call, _ = rig.open(rig.phone())
    with pytest.raises(UnavailableError, match="slots"):
        rig.open(rig.phone())
    leg = call.add_leg("seat", listener=Ear(), remote=None)
    with pytest.raises(UnavailableError, match="slots"):
        call.add_leg("boss", listener=Ear(), remote=None)
    rig.tick()
    leg.close()
    rig.tick()
    call.add_leg("boss", listener=Ear(), remote=None)
    rig.close()


def test_stall_keeps_a_bridged_calls_recording_on_wall_time(rig):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(20)
    rig.now += 20.0
    talk.number += 1000
    talk.talk(20)
    finish(rig, talk.call)
    ear = talk.ears["caller"]
    assert len(ear.left) == (20 + 1000 + 20 + DELAY_FRAMES) * FRAME
    assert ear.right[1030 * FRAME] == talk.level("seat") + 8
    assert not ear.right[30 * FRAME : 1000 * FRAME].any()


def test_callers_failure_ends_a_seat_whose_packet_is_in_the_same_batch(rig, caplog):
    talk = Conversation(rig, caller=1000, seat=3000)
    talk.call.set_mix(BRIDGED)
    talk.talk(10)

    def fail(*_):
        raise RuntimeError("broken on purpose")

    talk.ears["caller"].on_digit = fail
    digit = next(event_payloads("1"))[1]
    for name in ("caller", "seat", "caller"):
        phone = talk.phones[name]
        phone.send(talk.legs[name], phone.packet(50, payload_type=EVENTS, payload=digit))
    rig.tick(2)
    assert rig.engine.stats().failures == 1
    assert rig.engine.stats().legs == 0
    assert talk.ears["caller"].closed == 1


def test_recording_is_exact_on_both_sides_whatever_the_network_does_to_what_is_heard(rig):
    caller, seat = rig.phone(), rig.phone()
    call, ear = rig.open(caller)
    leg = call.add_leg("seat", listener=Ear(), remote=seat.remote)
    call.set_mix(BRIDGED)
    transits = np.random.default_rng(5).integers(0, 8, (2, 150))
    transits[:, 0] = 0
    due = {}
    for which, (phone, to) in enumerate([(caller, call), (seat, leg)]):
        for number in range(150):
            due.setdefault(number + int(transits[which, number]), []).append((phone, to, number))
    for tick in range(170):
        for phone, to, number in due.get(tick, []):
            phone.send(to, phone.packet(number))
        rig.tick()
    finish(rig, call)
    start = DELAY_FRAMES * FRAME
    assert np.array_equal(ear.left[start : start + 150 * FRAME], caller.spoken(0, 150))
    expected = np.clip(seat.spoken(0, 150).astype(int) + 8, -32768, 32767)
    assert np.array_equal(ear.right[start + FRAME : start + 150 * FRAME], expected[FRAME:])
    heard = g711.decode(b"".join(packet.payload for packet in caller.received()), codec=Codec.PCMA)
    whole = {frame.tobytes() for frame in seat.spoken(0, 150).reshape(-1, FRAME)}
    played = [frame.tobytes() for frame in heard.reshape(-1, FRAME)]
    assert sum(frame in whole for frame in played) >= 100  # bit for bit, where nothing was concealed or cross-faded
