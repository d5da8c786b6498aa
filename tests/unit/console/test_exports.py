import base64
import hashlib
import io
import json
import re
import uuid
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from docx import Document
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st

from console.export_docx import as_docx
from console.export_vcon import as_vcon, content_hash, vcon_uuid
from console.exports import FORMATS, MAX_CUE, as_json, as_srt, as_text, as_vtt
from console.transcript_file import RecordingFile, TranscriptFile
from console.views import Fact, Utterance, Word


def said(*words: str, start_ms: int = 0, speaker: str = "caller") -> Utterance:
    """Words of 200 ms each."""
    times = range(start_ms, start_ms + 200 * len(words) + 1, 200)
    spoken = tuple(Word(text, begin, begin + 200) for text, begin in zip(words, times, strict=False))
    return Utterance(speaker=speaker, start_ms=start_ms, end_ms=times[-1], words=spoken)


def file_of(
    *utterances: Utterance, masked: bool = True, demo_model: bool = False, recording: RecordingFile | None = None
) -> TranscriptFile:
    return TranscriptFile(
        number="YQ20260105000011",
        call_id="c0ffee",
        version=2,
        engine="vosk",
        model="cn",
        demo_model=demo_model,
        masked=masked,
        utterances=utterances,
        title="暖气坏了",
        content="暖气坏了，很冷。",
        caller_name="张",
        phone="138****8000" if masked else "13800138000",
        facts=(Fact(field="category", name="类别", value="供暖 / 管网抢修", proof=None),),
        started_at=datetime(2026, 1, 5, 1, 30, tzinfo=UTC),
        duration_ms=65_000,
        site_name="12345 热线",
        domain="hotline.example.cn",
        zone=ZoneInfo("Asia/Shanghai"),
        exported_at=datetime(2026, 1, 6, 2, 0, 0, 5000, tzinfo=UTC),
        exported_by="王小明",
        recording=recording,
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
        assert isinstance(write(file_of()), str | bytes)


@given(st.lists(st.text("我家坏了，。", min_size=1, max_size=5), min_size=1, max_size=60))
def test_subtitles_fit_the_screen_and_lose_nothing(words: list[str]) -> None:
    cues = re.findall(r"--> \S+\n来电人：(.*)\n", as_srt(file_of(said(*words))))
    assert "".join(cues) == "".join(words)
    assert all(len(cue) <= MAX_CUE for cue in cues)


def test_a_word_document_has_the_ticket_the_times_and_every_sentence() -> None:
    document = Document(io.BytesIO(as_docx(file_of(HELLO, DEMAND))))
    head = [paragraph.text for paragraph in document.paragraphs[:2]]
    assert head == ["12345 热线通话记录", "工单号：YQ20260105000011"]
    particulars, sentences = ([[cell.text for cell in row.cells] for row in table.rows] for table in document.tables)
    for row in (
        ["通话时间", "2026-01-05 09:30:00"],
        ["通话时长", "1:05"],
        ["类别", "供暖 / 管网抢修"],
        ["号码", "已隐去"],
        ["导出", "2026-01-06 10:00:00，王小明"],
    ):
        assert row in particulars
    assert sentences == [
        ["时间", "说话人", "内容"],
        ["0:00", "热线", "您好，请讲。"],
        ["1:00:00", "来电人", "暖气坏了，138****8000。"],
    ]


def test_a_word_document_names_east_asian_fonts_and_numbers_its_pages() -> None:
    document = Document(io.BytesIO(as_docx(file_of(HELLO))))
    fonts = document.styles["Normal"].element.rPr.rFonts
    assert (fonts.get(qn("w:ascii")), fonts.get(qn("w:eastAsia"))) == ("Times New Roman", "仿宋")
    assert document.paragraphs[0].runs[0]._element.rPr.rFonts.get(qn("w:eastAsia")) == "宋体"
    footer = document.sections[0].footer._element.xml
    assert [name in footer for name in (">PAGE<", ">NUMPAGES<")] == [True, True]
    assert document.tables[1].rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_makes_a_word_document_that_opens(text: str) -> None:
    written = as_docx(replace(file_of(said(text or "无")), site_name=text or "站", exported_by=text))
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
    Document(io.BytesIO(written))


WAV = b"RIFF....WAVE"
BY_ADDRESS = RecordingFile(
    filename="YQ20260105000011.wav",
    url="https://hotline.example.cn/recordings/c0ffee/audio",
    content_hash=content_hash(hashlib.sha512(WAV).digest()),
)


def test_a_vcon_holds_parties_recording_transcript_and_ticket() -> None:
    said_by_all = (HELLO, DEMAND, said("好", speaker="seat"))
    vcon = json.loads(as_vcon(file_of(*said_by_all, recording=BY_ADDRESS)))
    assert (vcon["vcon"], vcon["subject"]) == ("0.4.0", "暖气坏了")
    assert vcon["created_at"] == "2026-01-06T02:00:00.005000+00:00"
    assert vcon["parties"] == [
        {"name": "张", "tel": "138****8000", "type": "person"},
        {"name": "12345 热线", "type": "organization"},
        {"name": "座席", "type": "person"},
    ]
    (dialog,) = vcon["dialog"]
    assert (dialog["type"], dialog["start"], dialog["duration"]) == ("recording", "2026-01-05T01:30:00+00:00", 65.0)
    assert (dialog["parties"], dialog["mediatype"]) == ([0, 1], "audio/x-wav")
    assert (dialog["url"], dialog["content_hash"]) == (BY_ADDRESS.url, BY_ADDRESS.content_hash)
    (analysis,) = vcon["analysis"]
    assert (analysis["type"], analysis["vendor"], analysis["product"]) == ("transcript", "vosk", "cn")
    assert analysis["body"] == json.loads(as_json(file_of(*said_by_all)))
    (attachment,) = vcon["attachments"]
    assert (attachment["purpose"], attachment["dialog"], attachment["party"]) == ("ticket", 0, 1)
    assert attachment["body"]["fields"] == {"category": "供暖 / 管网抢修"}


def test_a_recording_goes_along_inline_as_the_same_bytes_or_not_at_all() -> None:
    (inline,) = json.loads(as_vcon(file_of(HELLO, recording=replace(BY_ADDRESS, content=WAV))))["dialog"]
    assert base64.urlsafe_b64decode(inline["body"] + "=" * (-len(inline["body"]) % 4)) == WAV
    assert inline["encoding"] == "base64url"
    assert "url" not in inline
    (without,) = json.loads(as_vcon(file_of(HELLO)))["dialog"]
    assert not {"url", "body", "content_hash"} & set(without)


def test_a_vcons_hash_is_base64url_without_padding() -> None:
    assert re.fullmatch(r"sha512-[A-Za-z0-9_-]{86}", BY_ADDRESS.content_hash)


@given(st.integers(0, 7_000_000_000), st.text(max_size=20))
def test_a_vcons_uuid_is_of_version_8_and_begins_with_its_time(second: int, domain: str) -> None:
    at = datetime.fromtimestamp(second, UTC)
    made = uuid.UUID(vcon_uuid(at, domain, "c0ffee"))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert made.int >> 80 == int(at.timestamp() * 1000)
    assert str(made) == vcon_uuid(at, domain, "c0ffee")


@pytest.mark.parametrize("other", [("elsewhere.cn", "c0ffee"), ("hotline.example.cn", "c0ffef")])
def test_two_vcons_of_one_moment_differ(other: tuple[str, str]) -> None:
    at = datetime(2026, 1, 6, tzinfo=UTC)
    assert vcon_uuid(at, "hotline.example.cn", "c0ffee") != vcon_uuid(at, *other)
