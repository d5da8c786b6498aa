import json
import re

from hypothesis import given
from hypothesis import strategies as st

from console.exports import FORMATS, MAX_CUE, TranscriptFile, as_json, as_srt, as_text, as_vtt
from console.views import Utterance, Word


def said(*words: str, start_ms: int = 0, speaker: str = "caller") -> Utterance:
    """Words of 200 ms each."""
    times = range(start_ms, start_ms + 200 * len(words) + 1, 200)
    spoken = tuple(Word(text, begin, begin + 200) for text, begin in zip(words, times, strict=False))
    return Utterance(speaker=speaker, start_ms=start_ms, end_ms=times[-1], words=spoken)


def file_of(*utterances: Utterance, masked: bool = True, demo_model: bool = False) -> TranscriptFile:
    return TranscriptFile(
        number="YQ20260105000011",
        call_id="c0ffee",
        version=2,
        engine="vosk",
        model="cn",
        demo_model=demo_model,
        masked=masked,
        utterances=utterances,
    )


HELLO = said("您好，", "请讲。", speaker="hotline")
DEMAND = said("暖气", "坏了，", "138****8000。", start_ms=3_600_500)


def test_text_has_a_line_an_utterance_and_says_where_it_is_from() -> None:
    assert as_text(file_of(HELLO, DEMAND)) == (
        "工单 YQ20260105000011 通话转写（vosk cn，第 2 版，号码已隐去）\n\n"
        "[0:00] 热线：您好，请讲。\n[1:00:00] 来电人：暖气坏了，138****8000。\n"
    )
    assert "演示模型" in as_text(file_of(demo_model=True))
    assert "隐去" not in as_text(file_of(masked=False))


def test_subrip_numbers_its_cues() -> None:
    assert as_srt(file_of(HELLO, DEMAND)) == (
        "1\n00:00:00,000 --> 00:00:00,400\n热线：您好，请讲。\n\n"
        "2\n01:00:00,500 --> 01:00:01,100\n来电人：暖气坏了，138****8000。\n"
    )


def test_webvtt_names_the_voice_and_lets_no_word_be_markup() -> None:
    assert as_vtt(file_of(said("<b>", "A&B"))) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.400\n<v 来电人>&lt;b&gt;A&amp;B\n"
    )


def test_data_has_every_word_with_its_times() -> None:
    data = json.loads(as_json(file_of(DEMAND)))
    assert (data["ticket"], data["version"], data["masked"]) == ("YQ20260105000011", 2, True)
    assert data["segments"][0]["text"] == "暖气坏了，138****8000。"
    assert data["segments"][0]["words"][1] == {
        "text": "坏了，",
        "start_ms": 3_600_700,
        "end_ms": 3_600_900,
        "unsure": False,
    }


def test_a_transcript_without_a_word_is_a_file_of_each_kind() -> None:
    for _media_type, write in FORMATS.values():
        assert "None" not in write(file_of())


@given(st.lists(st.text("我家坏了，。", min_size=1, max_size=5), min_size=1, max_size=60))
def test_subtitles_fit_the_screen_and_lose_nothing(words: list[str]) -> None:
    cues = re.findall(r"--> \S+\n来电人：(.*)\n", as_srt(file_of(said(*words))))
    assert "".join(cues) == "".join(words)
    assert all(len(cue) <= MAX_CUE for cue in cues)
