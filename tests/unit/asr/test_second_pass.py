import pytest

from asr.models import Segment
from asr.recognizer import Final, Word
from asr.second_pass import channels_with_people, merge


def segment(speaker: str, start_ms: int, end_ms: int, text: str) -> Segment:
    return Segment(
        position=0,
        speaker=speaker,
        start_ms=start_ms,
        end_ms=end_ms,
        text=text,
        confidence=1.0,
        words=[[text, start_ms, end_ms, 1.0]],
    )


def final(start_ms: int, end_ms: int, text: str) -> Final:
    return Final((Word(text, start_ms, end_ms, 0.9),))


FIRST = [
    segment("hotline", 0, 900, "您好，请讲。"),
    segment("caller", 1000, 2000, "路灯坏"),
    segment("seat", 2500, 3500, "哪里"),
    segment("seat", 5000, 9000, "我们派人去"),
    segment("supervisor", 9500, 9900, "好"),
]


@pytest.mark.parametrize(
    ("speakers", "channels"),
    [([], (0,)), (["caller", "hotline"], (0,)), (["caller", "seat"], (0, 1)), (["supervisor"], (0, 1))],
)
def test_a_channel_in_which_only_announcements_are_is_not_heard_again(
    speakers: list[str], channels: tuple[int, ...]
) -> None:
    assert channels_with_people(speakers) == channels


def test_each_utterance_is_given_to_who_spoke_there_and_announcements_stay() -> None:
    heard = {
        0: [final(1000, 2100, "路灯坏了")],
        1: [final(50, 950, "您好请讲"), final(2400, 3600, "在哪里"), final(9450, 9950, "好的")],
    }
    assert [(item.speaker, item.text) for item in merge(FIRST, heard)] == [
        ("hotline", "您好，请讲。"),
        ("caller", "路灯坏了。"),
        ("seat", "在哪里？"),
        ("supervisor", "好的。"),
    ]


def test_what_nobody_said_at_the_first_pass_is_the_one_who_spoke_most() -> None:
    (utterance,) = [item for item in merge(FIRST, {1: [final(12_000, 13_000, "再见")]}) if item.speaker != "hotline"]
    assert utterance.speaker == "seat"


def test_our_side_without_people_says_nothing_new() -> None:
    assert [item.speaker for item in merge(FIRST[:2], {1: [final(5000, 6000, "嗯")]})] == ["hotline"]


def test_a_silent_recording_keeps_its_announcements() -> None:
    assert [item.text for item in merge(FIRST, {0: [], 1: []})] == ["您好，请讲。"]
    assert merge([], {0: []}) == []
