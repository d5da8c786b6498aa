"""A transcript to take along: text, a Word document, subtitles (SubRip, WebVTT), data, a vCon. Pure; masked as the page
is."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from console import labels
from console.export_docx import as_docx
from console.export_vcon import as_vcon
from console.rendering import clock_time
from console.transcript_file import TranscriptFile, text_of, transcript_data
from console.views import Utterance, Word

MAX_CUE = 36  # characters that two lines of a subtitle hold
BREAKS = frozenset("，。？！")


def as_text(transcript: TranscriptFile) -> str:
    """One line an utterance, with its time and who speaks."""
    origin = [f"{transcript.engine} {transcript.model}", f"第 {transcript.version} 版"]
    origin += ["演示模型，听不懂真人说话"] if transcript.demo_model else []
    origin += ["号码已隐去"] if transcript.masked else []
    head = f"工单 {transcript.number} 通话转写（{'，'.join(origin)}）"
    lines = [
        f"[{clock_time(item.start_ms)}] {labels.label(labels.SPEAKERS, item.speaker)}：{text_of(item.words)}"
        for item in transcript.utterances
    ]
    return "\n".join([head, "", *lines]) + "\n"


def as_srt(transcript: TranscriptFile) -> str:
    """SubRip: numbered cues."""
    cues = (
        f"{number}\n{_stamp(words[0].start_ms, ',')} --> {_stamp(words[-1].end_ms, ',')}\n"
        f"{labels.label(labels.SPEAKERS, item.speaker)}：{text_of(words)}\n"
        for number, (item, words) in enumerate(_cues(transcript.utterances), start=1)
    )
    return "\n".join(cues)


def as_vtt(transcript: TranscriptFile) -> str:
    """WebVTT (W3C): the speaker is a voice."""
    cues = (
        f"{_stamp(words[0].start_ms, '.')} --> {_stamp(words[-1].end_ms, '.')}\n"
        f"<v {labels.label(labels.SPEAKERS, item.speaker)}>{_escaped(text_of(words))}\n"
        for item, words in _cues(transcript.utterances)
    )
    return "\n".join(["WEBVTT\n", *cues])


def as_json(transcript: TranscriptFile) -> str:
    """Every word with its times, in milliseconds of the recording."""
    return json.dumps(transcript_data(transcript), ensure_ascii=False, indent=2) + "\n"


FORMATS: Mapping[str, tuple[str, Callable[[TranscriptFile], str | bytes]]] = {
    "txt": ("text/plain", as_text),
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
    "json": ("application/json", as_json),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", as_docx),
    "vcon": ("application/vcon", as_vcon),
}
"""By the file's ending: its media type, and what writes it."""


def _cues(utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, tuple[Word, ...]]]:
    """Utterances in pieces that fit a screen: after a mark where one comes in time, else between words."""
    for item in utterances:
        piece: list[Word] = []
        for word in item.words:
            length = sum(len(each.text) for each in piece)
            ended = bool(piece) and piece[-1].text[-1:] in BREAKS and length > MAX_CUE // 2
            if piece and (ended or length + len(word.text) > MAX_CUE):
                yield item, tuple(piece)
                piece = []
            piece.append(word)
        if piece:
            yield item, tuple(piece)


def _stamp(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
