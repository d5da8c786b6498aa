"""The buffer between a call and its recognizer, also against random recognizers that die."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.recognizer import Final, Partial, Word, shift
from asr.replay import MAX_UTTERANCE_MS, ReplayBuffer

MS = 16


def audio(milliseconds: int, value: int = 0) -> bytes:
    return bytes([value]) * (MS * milliseconds)


def final(start_ms: int, end_ms: int) -> Final:
    return Final((Word("好", start_ms, end_ms, 1.0),))


def test_audio_is_taken_in_order_and_in_blocks() -> None:
    buffer = ReplayBuffer(max_lag_ms=1000, sample_rate=8000)
    assert buffer.feed(audio(60, 1)) == 60 * MS
    assert buffer.take(100 * MS) == b""
    assert buffer.feed(audio(60, 2)) == 120 * MS
    assert buffer.take(100 * MS) == audio(60, 1) + audio(40, 2)
    assert buffer.take(100 * MS) == b""
    assert buffer.take(100 * MS, rest=True) == audio(20, 2)
    assert buffer.take(100 * MS, rest=True) == b""


def test_a_new_connection_hears_the_unfinished_utterance_again() -> None:
    buffer = ReplayBuffer(max_lag_ms=10_000, sample_rate=8000)
    buffer.feed(audio(1000, 1) + audio(1000, 2))
    buffer.take(1500 * MS)
    buffer.answered(Partial("好"))
    buffer.rewind()
    assert buffer.take(2000 * MS) == audio(1000, 1) + audio(1000, 2)


def test_audio_before_the_end_of_a_final_is_let_go_and_later_times_are_shifted() -> None:
    buffer = ReplayBuffer(max_lag_ms=10_000, sample_rate=8000)
    buffer.feed(audio(1000, 1) + audio(1000, 2))
    buffer.take(2000 * MS)
    assert buffer.answered(final(200, 1000)) == final(200, 1000)
    buffer.rewind()
    assert buffer.take(1000 * MS) == audio(1000, 2)
    assert buffer.answered(final(100, 500)) == final(1100, 1500)
    assert buffer.complete


def test_silence_is_let_go_but_for_its_last_seconds() -> None:
    buffer = ReplayBuffer(max_lag_ms=10_000, sample_rate=8000)
    for _ in range(100):
        buffer.feed(audio(1000))
        buffer.take(1000 * MS)
        buffer.answered(None)
    buffer.rewind()
    assert buffer.take(1 << 20, rest=True) == audio(2000)


def test_lag_beyond_the_bound_drops_all_and_ends_completeness() -> None:
    buffer = ReplayBuffer(max_lag_ms=1000, sample_rate=8000)
    buffer.feed(audio(1000))
    assert buffer.complete
    assert not buffer.interrupted
    assert buffer.feed(audio(20)) == 0
    assert not buffer.complete
    assert buffer.interrupted
    buffer.rewind()
    assert not buffer.interrupted
    buffer.feed(audio(100, 3))
    assert buffer.take(100 * MS) == audio(100, 3)
    assert buffer.answered(final(0, 50)) == final(1020, 1070)


def test_an_answer_to_dropped_audio_does_not_count_as_heard() -> None:
    buffer = ReplayBuffer(max_lag_ms=1000, sample_rate=8000)
    buffer.feed(audio(500))
    buffer.take(500 * MS)
    buffer.feed(audio(600))
    assert buffer.answered(final(100, 200)) == final(100, 200)
    buffer.rewind()
    assert buffer.feed(audio(1000, 1)) == 1000 * MS


def test_an_endless_utterance_is_kept_in_part_and_costs_completeness_only_when_it_is_needed() -> None:
    buffer = ReplayBuffer(max_lag_ms=10_000, sample_rate=8000)
    for _ in range(MAX_UTTERANCE_MS // 1000 + 5):
        buffer.feed(audio(1000))
        buffer.take(1000 * MS)
        buffer.answered(Partial("啊"))
    assert buffer.complete
    buffer.rewind()
    assert not buffer.complete
    assert len(buffer.take(1 << 21, rest=True)) == MAX_UTTERANCE_MS * MS


@given(st.integers(0, 10**6))
def test_shift_moves_every_word(offset_ms: int) -> None:
    spoken = Final((Word("您", 0, 100, 0.5), Word("好", 100, 200, 0.7)))
    moved = shift(spoken, offset_ms)
    assert [word.start_ms for word in moved.words] == [offset_ms, offset_ms + 100]
    assert moved.text == spoken.text


class Mortal(RuleBasedStateMachine):
    """A recognizer whose every 10 ms of non-zero audio is a word; it dies at any time. Each word is heard once."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = ReplayBuffer(max_lag_ms=10**9, sample_rate=8000)
        self.fed: list[int] = []
        self.heard_ms = 0  # of the present connection
        self.utterance: list[tuple[int, int]] = []  # (value, start_ms in this connection)
        self.finals: list[tuple[int, int]] = []
        self.buffer.rewind()

    @rule(value=st.integers(1, 255), count=st.integers(1, 5))
    def speak(self, value: int, count: int) -> None:
        self.buffer.feed(audio(10, value) * count)
        self.fed += [value] * count

    @rule(count=st.integers(1, 4))
    def listen(self, count: int) -> None:
        if not self._hear(count):
            return
        assert self.buffer.answered(Partial("…")) == Partial("…")

    @rule()
    def finish_utterance(self) -> None:
        if not self._hear(1):
            return
        # The engine answers ahead of its decoding: the last word heard belongs to the next utterance.
        done, self.utterance = self.utterance[:-1], self.utterance[-1:]
        if not done:
            self.buffer.answered(Partial("…"))
            return
        spoken = Final(tuple(Word(chr(0x4E00 + value), at, at + 10, 1.0) for value, at in done))
        event = self.buffer.answered(spoken)
        assert isinstance(event, Final)
        self.finals += [(ord(word.text) - 0x4E00, word.start_ms) for word in event.words]

    @rule()
    def die(self) -> None:
        self.buffer.rewind()
        self.utterance, self.heard_ms = [], 0

    def _hear(self, count: int) -> bool:
        block = self.buffer.take(count * 10 * MS)
        for at in range(0, len(block), 10 * MS):
            self.utterance.append((block[at], self.heard_ms))
            self.heard_ms += 10
        return bool(block)

    @invariant()
    def finals_are_what_was_said_when_it_was_said(self) -> None:
        assert self.finals == [(value, index * 10) for index, value in enumerate(self.fed[: len(self.finals)])]
        assert self.buffer.complete


TestMortal = Mortal.TestCase
TestMortal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
