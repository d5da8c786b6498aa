"""How far recognizers were from what people confirmed."""

from asr.models import Segment
from asr.quality import errors_by_speaker
from asr.scoring import Errors


def rows(*said: tuple[str, str]) -> list[Segment]:
    """Segments one second each, one after another."""
    return [
        Segment(position=at, speaker=speaker, text=text, start_ms=1000 * at, end_ms=1000 * at + 900, words=[])
        for at, (speaker, text) in enumerate(said)
    ]


def test_each_speaker_has_his_own_errors_and_announcements_none() -> None:
    machine = rows(("hotline", "您好"), ("caller", "路灯不两"), ("seat", "好的"))
    confirmed = rows(("hotline", "您好请讲"), ("caller", "路灯不亮。"), ("seat", "好的，请稍等。"))
    assert errors_by_speaker(machine, confirmed) == {
        "caller": Errors(characters=4, substitutions=1),
        "seat": Errors(characters=5, deletions=3),
    }


def test_a_number_is_the_same_however_it_is_written() -> None:
    machine = rows(("caller", "电话是幺三八零零幺三八零零零"), ("caller", "共两万三千五百块"))
    confirmed = rows(("caller", "电话是13800138000。"), ("caller", "共23500块。"))
    assert errors_by_speaker(machine, confirmed)["caller"].edits == 0


def test_a_split_or_merged_sentence_is_no_error() -> None:
    machine = rows(("caller", "我姓张。"), ("caller", "路灯坏了。"))
    assert errors_by_speaker(machine, rows(("caller", "我姓张，路灯坏了。")))["caller"].edits == 0


def test_a_change_of_speaker_is_no_error_of_recognition() -> None:
    machine = rows(("caller", "您好"), ("caller", "路灯坏了"))
    confirmed = rows(("seat", "您好。"), ("caller", "路灯坏了。"))
    assert errors_by_speaker(machine, confirmed) == {"caller": Errors(characters=4), "seat": Errors(characters=2)}


def test_what_nobody_said_is_inserted() -> None:
    machine = rows(("caller", "嗯啊"), ("caller", "路灯坏了"))
    assert errors_by_speaker(machine, machine[1:])["caller"] == Errors(characters=4, insertions=2)
    assert errors_by_speaker(machine[:1], [])["caller"] == Errors(insertions=2)
