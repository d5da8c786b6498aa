"""Whatever parties do, in whatever order: nothing raises, every recording is whole, every piece ends once."""

from dataclasses import replace

import numpy as np
from engine_rig import FRAME, Ear, Rig
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media.mixer import Party, Role, Supervision, mix_of

NAMES = st.sampled_from(["a", "b", "c"])
PARTIES = st.dictionaries(
    NAMES,
    st.builds(Party, st.just(Role.SEAT), muted=st.booleans(), held=st.booleans())
    | st.builds(Party, st.just(Role.SUPERVISOR), supervision=st.sampled_from(Supervision)),
)


class Churn(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.rig = Rig(max_calls=3, max_legs=7, rtp_timeout_s=1e9)
        self.phone = self.rig.phone()
        self.calls, self.legs, self.ears = [], [], []
        self.number = self.token = 0

    @rule()
    def open(self):
        try:
            call, ear = self.rig.open(self.phone)
        except UnavailableError:
            return
        self.calls.append(call)
        self.legs.append(call)
        self.ears.append(ear)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), name=NAMES, offered=st.booleans())
    def add_leg(self, data, name, offered):
        ear = Ear()
        try:
            leg = data.draw(st.sampled_from(self.calls)).add_leg(
                name, listener=ear, remote=self.phone.remote if offered else None, tap=ear, track=ear
            )
        except (InvalidInputError, UnavailableError):
            return
        self.legs.append(leg)
        self.ears.append(ear)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), parties=PARTIES)
    def mix(self, data, parties):
        data.draw(st.sampled_from(self.calls)).set_mix(mix_of({"caller": Party(Role.CALLER), **parties}))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), name=NAMES)
    def adopt(self, data, name):
        try:
            data.draw(st.sampled_from(self.calls)).adopt(data.draw(st.sampled_from(self.legs)), name)
        except InvalidInputError:
            return

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), on=st.booleans())
    def record(self, data, on):
        call = data.draw(st.sampled_from(self.calls))
        (call.resume_recording if on else call.pause_recording)()

    @precondition(lambda self: self.legs)
    @rule(data=st.data(), loop=st.booleans(), length=st.integers(0, 500))
    def play(self, data, loop, length):
        self.token += 1
        data.draw(st.sampled_from(self.legs)).play(np.full(length, 99, np.int16), token=self.token, loop=loop)

    @precondition(lambda self: self.legs)
    @rule(data=st.data())
    def press(self, data):
        data.draw(st.sampled_from(self.legs)).send_digits("1#")

    @precondition(lambda self: self.legs)
    @rule(
        data=st.data(),
        send=st.booleans(),
        receive=st.booleans(),
        ptime_ms=st.sampled_from([10, 20, 30, 60]),
        events=st.sampled_from([None, 101]),
    )
    def update(self, data, **changes):
        changes["telephone_event"] = changes.pop("events")
        data.draw(st.sampled_from(self.legs)).update(replace(self.phone.remote, **changes))

    @precondition(lambda self: self.legs)
    @rule(data=st.data())
    def close(self, data):
        data.draw(st.sampled_from(self.legs)).close()

    @rule(ticks=st.integers(1, 30), lost=st.integers(2, 9))
    def talk(self, ticks, lost):
        for _ in range(ticks):
            self.number += 1
            for leg in self.legs:
                if not leg.closed and self.number % lost:
                    self.phone.send(leg, self.phone.packet(self.number))
            self.rig.tick()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0]))
    def stall(self, seconds):
        self.rig.now += seconds
        self.number += int(seconds * 50)

    @invariant()
    def nothing_failed(self):
        assert self.rig.engine.stats().failures == 0

    def teardown(self):
        self.rig.tick()
        for leg in self.legs:
            leg.close()
        self.rig.tick()
        assert self.rig.engine.stats().legs == 0
        self.nothing_failed()
        assert all(ear.closed == 1 for ear in self.ears)
        ended = sorted(event[1] for ear in self.ears for event in ear.events if event[0] == "played")
        assert ended == list(range(1, self.token + 1))
        for call, ear in zip(self.legs, self.ears, strict=True):
            if call in self.calls and call.name == "caller":
                assert len(ear.left) == call.end - call.room.origin
                assert len(ear.left) % FRAME == 0
        slots = [self.rig.open(self.phone)[0] for _ in range(3)]
        assert len({call.slot for call in slots}) == 3
        self.rig.close()


TestChurn = Churn.TestCase
TestChurn.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
