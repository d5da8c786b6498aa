import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.mixer import CALLER, RECORDING, Party, Role, Supervision, mix_of

CALLER_PARTY = Party(Role.CALLER)
SEAT = Party(Role.SEAT)


def supervisor(mode, **changes):
    return Party(Role.SUPERVISOR, supervision=mode, **changes)


def heard_by(mix, hearer):
    return {source for who, source in mix if who == hearer}


seats = st.builds(Party, st.just(Role.SEAT), muted=st.booleans(), held=st.booleans())
supervisors = st.builds(
    Party,
    st.just(Role.SUPERVISOR),
    muted=st.booleans(),
    held=st.booleans(),
    supervision=st.none() | st.sampled_from(Supervision),
)
callers = st.builds(Party, st.just(Role.CALLER), muted=st.booleans(), held=st.booleans())
calls = st.builds(
    lambda caller, others: {CALLER: caller, **others},
    callers,
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), seats | supervisors),
)


@pytest.mark.parametrize(
    ("mode", "caller", "seat", "recording"),
    [
        (None, {"seat"}, {CALLER}, {"seat"}),
        (Supervision.LISTEN, {"seat"}, {CALLER}, {"seat"}),
        (Supervision.WHISPER, {"seat"}, {CALLER, "boss"}, {"seat", "boss"}),
        (Supervision.BARGE, {"seat", "boss"}, {CALLER, "boss"}, {"seat", "boss"}),
    ],
)
def test_supervisor_is_heard_as_far_as_he_takes_part_and_hears_both(mode, caller, seat, recording):
    mix = mix_of({CALLER: CALLER_PARTY, "seat": SEAT, "boss": supervisor(mode)})
    assert heard_by(mix, CALLER) == caller
    assert heard_by(mix, "seat") == seat
    assert heard_by(mix, "boss") == {CALLER, "seat"}
    assert heard_by(mix, RECORDING) == recording


def test_three_way_call_is_everybody_hearing_the_others():
    mix = mix_of({CALLER: CALLER_PARTY, "one": SEAT, "two": SEAT})
    assert {hearer: heard_by(mix, hearer) for hearer in (CALLER, "one", "two", RECORDING)} == {
        CALLER: {"one", "two"},
        "one": {CALLER, "two"},
        "two": {CALLER, "one"},
        RECORDING: {"one", "two"},
    }
    assert set(mix.values()) == {1.0}


@given(calls)
def test_nobody_hears_himself_and_the_recordings_right_side_never_the_caller(parties):
    mix = mix_of(parties)
    assert not any(hearer == source for hearer, source in mix)
    assert CALLER not in heard_by(mix, RECORDING)


@given(calls)
def test_who_is_muted_or_held_is_heard_by_nobody_not_even_the_recording(parties):
    sources = {source for _, source in mix_of(parties)}
    assert not any(parties[name].muted or parties[name].held for name in sources)


@given(calls)
def test_who_is_on_hold_hears_nobody(parties):
    mix = mix_of(parties)
    assert all(not heard_by(mix, name) for name, party in parties.items() if party.held)


@given(calls)
def test_listening_supervisor_is_heard_by_nobody(parties):
    sources = {parties[source].supervision for _, source in mix_of(parties) if parties[source].role is Role.SUPERVISOR}
    assert sources <= {Supervision.WHISPER, Supervision.BARGE}


@given(calls)
def test_whisper_never_reaches_the_caller(parties):
    for name in heard_by(mix_of(parties), CALLER):
        assert parties[name].supervision in (None, Supervision.BARGE)


@given(calls)
def test_what_the_caller_hears_of_people_is_recorded(parties):
    mix = mix_of(parties)
    assert heard_by(mix, CALLER) <= heard_by(mix, RECORDING)


@pytest.mark.parametrize("role", [Role.CALLER, Role.SEAT])
def test_only_a_supervisor_supervises(role):
    with pytest.raises(ValueError, match="does not supervise"):
        Party(role, supervision=Supervision.BARGE)
