"""The shipped call-back survey, walked without audio in virtual time."""

from datetime import datetime

from flow_rig import LOADED, NIGHT, SHANGHAI, call

from ivr.menu.events import Heard, SpeechEnded, SpeechStarted, Survey
from ivr.menu.simulator import Simulation


def test_three_answers_are_kept() -> None:
    simulation = call("survey")
    simulation.listen()
    simulation.press("1")
    simulation.press("2")
    simulation.press("3")
    simulation.wait(10)
    assert answered(simulation) == [("contacted", "yes"), ("solved", "no"), ("satisfied", "not_satisfied")]
    assert all(item.means == "key" for item in simulation.commands if isinstance(item, Survey))
    assert simulation.over


def answered(simulation: Simulation) -> list[tuple[str, str]]:
    return [(item.question, item.answer) for item in simulation.commands if isinstance(item, Survey)]


def asked_whether_contacted() -> Simulation:
    simulation = call("survey")
    simulation.listen()
    simulation.listen()
    assert simulation.state.name == "contacted"
    return simulation


def test_three_answers_in_words_are_kept_with_where_they_were_said() -> None:
    simulation = asked_whether_contacted()
    said = []
    for text in ("没有 联系 我", "还没解决", "不太满意"):
        simulation.listen()
        simulation.say(text, caption_s=0)
        said.append(simulation.offset_ms)
    assert answered(simulation) == [("contacted", "no"), ("solved", "no"), ("satisfied", "not_satisfied")]
    answers = [item for item in simulation.commands if isinstance(item, Survey)]
    assert [(item.means, item.offset_ms) for item in answers] == [("voice", at) for at in said]
    simulation.wait(10)
    assert simulation.over


def test_an_answer_said_over_the_question_counts_and_other_words_do_not() -> None:
    simulation = call("survey")
    simulation.listen()
    simulation.say("哪里啊", seconds=0.3, caption_s=0.2)
    assert "answer_unclear" not in simulation.heard
    simulation.say("联系了", seconds=0.3, caption_s=0.2)
    assert answered(simulation) == [("contacted", "yes")]


def test_doubtful_words_are_asked_again() -> None:
    simulation = asked_whether_contacted()
    simulation.say("联系 没联系")
    assert simulation.heard[-2:] == ["answer_unclear", "ask_contacted"]
    assert answered(simulation) == []


def test_words_that_began_before_the_question_do_not_answer_it() -> None:
    simulation = asked_whether_contacted()
    simulation.feed(SpeechStarted(simulation.offset_ms))
    simulation.press("1")
    simulation.feed(SpeechEnded(simulation.offset_ms))
    simulation.feed(Heard("是的", simulation.offset_ms))
    assert answered(simulation) == [("contacted", "yes")]
    assert simulation.state.name == "solved"


def test_a_key_right_after_words_belongs_to_the_same_question_and_wins() -> None:
    simulation = asked_whether_contacted()
    simulation.say("联系了")
    simulation.press("2")
    assert simulation.state.name == "solved"
    assert answered(simulation) == [("contacted", "yes"), ("contacted", "no")]
    simulation.wait(1)
    simulation.press("1")
    assert answered(simulation)[-1] == ("solved", "yes")


def test_who_is_still_speaking_is_not_asked_again_but_noise_is() -> None:
    simulation = asked_whether_contacted()
    simulation.feed(SpeechStarted(simulation.offset_ms))
    simulation.wait(14)
    assert "no_key" not in simulation.heard
    simulation.feed(Heard("这个事情", simulation.offset_ms))
    assert "answer_unclear" not in simulation.heard
    simulation.wait(2)
    assert "no_key" in simulation.heard
    simulation.wait(60)
    assert simulation.over


def test_a_wrong_key_is_asked_again_and_silence_ends_the_survey() -> None:
    simulation = call("survey")
    simulation.listen()
    simulation.press("9")
    assert simulation.heard[-2:] == ["answer_unclear", "ask_contacted"]
    simulation.wait(60)
    assert simulation.over
    assert not any(isinstance(command, Survey) for command in simulation.commands)


def test_three_attempts_are_made_at_proper_hours() -> None:
    rule = LOADED["survey"].attempts
    assert rule is not None
    first = rule.next_attempt(made=0, last=None, now=NIGHT)
    assert first == datetime(2026, 1, 6, 9, 0, tzinfo=SHANGHAI)
    second = rule.next_attempt(made=1, last=first, now=first)
    assert second == datetime(2026, 1, 6, 14, 30, tzinfo=SHANGHAI)
    assert rule.next_attempt(made=3, last=second, now=second) is None
