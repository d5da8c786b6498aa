import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.evaluate import cer, edit_distance, evaluate_folder, read_references
from asr.recognizer import Final, Word
from hotline.errors import ConfigurationError, InvalidInputError


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("您好，我姓张。", "您好我姓张", 0.0),
        ("我的电话是幺三八零", "我的电话是1380", 0.0),
        ("我的电话是一三八〇", "我的电话是幺三八零", 0.0),
        ("WiFi坏了", "ｗｉｆｉ 坏了", 0.0),
        ("路灯不亮", "路灯很亮", 0.25),
        ("路灯不亮", "路灯亮", 0.25),
        ("路灯", "路灯坏了啊啊", 2.0),
        ("", "", 0.0),
        ("。", "啊", 1.0),
    ],
)
def test_cer(reference: str, hypothesis: str, expected: float) -> None:
    assert cer(reference, hypothesis) == expected


strings = st.text("甲乙丙", max_size=8)


@given(strings, strings, strings)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


def write_wav(path: Path, milliseconds: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16 * milliseconds))


def test_a_folder_is_pooled_over_its_characters(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", 1000)
    recognizer = ScriptedRecognizer([ScriptedEvent(500, Final((Word("好", 100, 200, 1.0),)))])
    table = tmp_path / "texts.tsv"
    table.write_text("a\t好。\t1.0\nb\t你好吗\nno_recording\t好\n", encoding="utf-8")
    evaluation = evaluate_folder(recognizer, tmp_path, read_references(table))
    assert [item.edits for item in evaluation.utterances] == [0, 2]
    assert evaluation.cer == 2 / 4
    assert evaluation.rtf > 0


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        evaluate_folder(ScriptedRecognizer([]), tmp_path, {"a": "好"})


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("only a name\n", encoding="utf-8")
    for path in (tmp_path / "t.tsv", tmp_path / "absent.tsv"):
        with pytest.raises(ConfigurationError):
            read_references(path)


def test_a_file_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(InvalidInputError):
        evaluate_folder(ScriptedRecognizer([]), tmp_path, {"a": "好"})
