import time
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.evaluate import Reference, evaluate, hear, read_references
from asr.line import Line
from asr.recognizer import Final, Partial, RecognitionEvent, RecognitionStream, Word
from hotline.errors import ConfigurationError


def write_wav(path: Path, milliseconds: int, *, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * rate * milliseconds // 1000))


def says(text: str, *, at_ms: int = 500) -> ScriptedRecognizer:
    return ScriptedRecognizer([ScriptedEvent(at_ms, Final((Word(text, 100, 200, 1.0),)))])


def test_recordings_are_pooled_over_their_characters(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", 1000)
    table = tmp_path / "texts.tsv"
    table.write_text("name\ttext\tspeed\n# a note\na\t好。\t1.0\nb.wav\t你好吗\n", encoding="utf-8")
    told = []
    evaluation = evaluate(says("好"), read_references(table), on_scored=lambda score: told.append(score.name))
    assert [item.errors.edits for item in evaluation.utterances] == [0, 2]
    assert told == ["a", "b"]
    assert evaluation.cer == 2 / 4
    assert evaluation.rtf > 0
    assert evaluation.audio_s == 2.0


def test_a_file_that_is_unusable_is_told_and_the_others_count(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav", 600)
    write_wav(tmp_path / "empty.wav", 0)
    (tmp_path / "torn.wav").write_bytes(b"RIFF")
    names = ("good", "empty", "torn", "absent")
    references = [Reference(tmp_path / f"{name}.wav", "好") for name in names]
    evaluation = evaluate(says("好"), references)
    assert [item.name for item in evaluation.utterances] == ["good"]
    assert set(evaluation.failed) == {"empty", "torn", "absent"}
    with pytest.raises(ConfigurationError, match="none of 3 recordings"):
        evaluate(says("好"), references[1:])


def test_a_folder_may_have_a_table_or_texts_beside_its_recordings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        read_references(tmp_path)
    write_wav(tmp_path / "a.wav", 100)
    write_wav(tmp_path / "b.wav", 100)
    (tmp_path / "a.txt").write_text("路灯不亮\n", encoding="utf-8-sig")
    assert read_references(tmp_path) == [Reference(tmp_path / "a.wav", "路灯不亮")]
    (tmp_path / "transcripts.tsv").write_text("b\t路灯\n", encoding="utf-8")
    assert read_references(tmp_path) == [Reference(tmp_path / "b.wav", "路灯")]


@pytest.mark.parametrize("content", [b"only a name\n", b"", b"\ttext\n", "a\t路灯".encode("gbk")])
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tsv").write_bytes(content)
    for path in (tmp_path / "t.tsv", tmp_path / "absent.tsv"):
        with pytest.raises(ConfigurationError):
            read_references(path)


def test_delays_run_from_the_end_of_a_word() -> None:
    words = (Word("路灯", 0, 400, 1.0), Word("不亮", 400, 700, 1.0))
    script = [ScriptedEvent(600, Partial("路灯")), ScriptedEvent(1500, Final(words))]
    heard = hear(ScriptedRecognizer(script), bytes(16 * 2000), 8000)
    assert heard.text == "路灯不亮"
    assert heard.partial_delays == pytest.approx((0.2, 0.8), abs=0.1)
    assert heard.final_delays == pytest.approx((0.8,), abs=0.1)


class SlowRecognizer(ScriptedRecognizer):
    """Takes 30 ms for a block of 100."""

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        return SlowStream(super().open_stream())


class SlowStream:
    def __init__(self, stream: RecognitionStream) -> None:
        self._stream = stream

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        time.sleep(0.03)
        return self._stream.accept(pcm)

    def finish(self) -> list[RecognitionEvent]:
        return self._stream.finish()


def test_a_recording_takes_its_time_only_where_that_is_asked_for() -> None:
    script = [ScriptedEvent(300, Final((Word("好", 0, 100, 1.0),)))]
    quick = hear(SlowRecognizer(script), bytes(16 * 500), 8000)
    began = time.perf_counter()
    waited = hear(SlowRecognizer(script), bytes(16 * 500), 8000, real_time=True)
    assert time.perf_counter() - began >= 0.5
    for heard in (quick, waited):
        assert heard.decode_s >= 5 * 0.03
        assert heard.final_delays[0] >= 0.3 - 0.1 + 0.03


def test_audio_comes_through_the_line_at_the_rate_of_its_codec(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 1000, rate=16000)
    evaluation = evaluate(says("好"), [Reference(tmp_path / "a.wav", "好")], line=Line(codec="alaw"))
    assert evaluation.cer == 0
    assert evaluation.audio_s == pytest.approx(1.0, abs=0.01)
