import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.greeting import Answerer, Greeting, GreetingRule

RULE = GreetingRule()


def listen(*utterances, answered_ms=1000, rule=RULE):
    """(who, when it is known) after utterances (start, end), in ms after the answer."""
    greeting = Greeting(answered_ms=answered_ms, rule=rule)
    times = [(start, greeting.speech_started) for start, _ in utterances]
    times += [(end, greeting.speech_ended) for _, end in utterances]
    for at, tell in sorted(times, key=lambda each: each[0]):
        while (due := greeting.due_ms) is not None and due <= answered_ms + at:
            greeting.pass_time(due)
            if greeting.answerer is not None:
                return greeting.answerer, due - answered_ms
        tell(answered_ms + at)
    while greeting.answerer is None:
        due = greeting.due_ms
        greeting.pass_time(due)
    return greeting.answerer, due - answered_ms


def test_a_person_says_a_word_and_waits():
    assert listen((400, 900)) == (Answerer.PERSON, 1700)


def test_two_words_of_a_person_are_one_greeting():
    assert listen((300, 700), (1200, 1900)) == (Answerer.PERSON, 2700)


def test_a_machine_talks_on_and_we_speak_after_its_beep():
    announcement, beep = (500, 6000), (6500, 6900)
    assert listen(announcement, beep) == (Answerer.MACHINE, 7700)


def test_a_machine_that_pauses_between_sentences_is_heard_out():
    assert listen((200, 2500), (3100, 5000), (5600, 8000)) == (Answerer.MACHINE, 8800)


def test_nobody_who_speaks_is_spoken_to():
    assert listen() == (Answerer.SILENCE, 2500)
    assert listen((2600, 3000)) == (Answerer.SILENCE, 2500)


def test_a_machine_without_an_end_is_waited_for_no_longer_than_the_limit():
    assert listen((200, 100_000)) == (Answerer.MACHINE, 30_000)


def test_what_is_known_stays_known():
    greeting = Greeting(answered_ms=0)
    greeting.speech_started(100)
    greeting.speech_ended(500)
    greeting.pass_time(1299)
    assert greeting.answerer is None
    greeting.pass_time(1300)
    assert greeting.answerer is Answerer.PERSON
    greeting.speech_started(1400)
    greeting.pass_time(90_000)
    assert greeting.answerer is Answerer.PERSON
    assert greeting.due_ms is None


def test_speech_that_starts_after_the_pause_was_over_tells_who_it_was():
    greeting = Greeting(answered_ms=0)
    greeting.speech_started(100)
    greeting.speech_ended(500)
    greeting.speech_started(2000)  # nobody called pass_time in between
    assert greeting.answerer is Answerer.PERSON


def test_an_end_without_a_beginning_is_nothing():
    greeting = Greeting(answered_ms=0)
    greeting.speech_ended(10)
    assert greeting.due_ms == RULE.silence_ms


@pytest.mark.parametrize("lengths", [{"pause_ms": 0}, {"silence_ms": -1}, {"limit_ms": 1000}, {"person_ms": 40_000}])
def test_a_rule_that_makes_no_sense_cannot_be_built(lengths):
    with pytest.raises(ValueError, match=r"positive|longest"):
        GreetingRule(**lengths)


@given(st.lists(st.integers(1, 20_000), max_size=20))
def test_it_is_always_known_by_the_limit_and_before_it_never_while_somebody_speaks(lengths):
    edges, at = [], 0
    for length in lengths:
        at += length
        edges.append(at)
    utterances = list(zip(edges[::2], edges[1::2], strict=False))
    _, known_ms = listen(*utterances)
    assert 0 < known_ms <= RULE.limit_ms
    if known_ms < RULE.limit_ms:
        assert not any(start < known_ms < end for start, end in utterances)
