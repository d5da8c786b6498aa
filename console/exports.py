"""A transcript to take along: text for a file note, subtitles (SubRip, WebVTT), data. Pure; masked as the page is."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from console import labels
from console.rendering import clock_time
from console.views import Utterance, Word

MAX_CUE = 36  # characters that two lines of a subtitle hold
BREAKS = frozenset("，。？！")


@dataclass(frozen=True, kw_only=True)
class TranscriptFile:
    """What a file says of itself, and the utterances in the order of time."""

    number: str
    call_id: str
    version: int
    engine: str
    model: str
    demo_model: bool
    masked: bool
    utterances: Sequence[Utterance]


def as_text(transcript: TranscriptFile) -> str:
    """One line an utterance, with its time and who speaks."""
    origin = [f"{transcript.engine} {transcript.model}", f"第 {transcript.version} 版"]
    origin += ["演示模型，听不懂真人说话"] if transcript.demo_model else []
    origin += ["号码已隐去"] if transcript.masked else []
    head = f"工单 {transcript.number} 通话转写（{'，'.join(origin)}）"
    lines = [
        f"[{clock_time(item.start_ms)}] {labels.label(labels.SPEAKERS, item.speaker)}：{_text(item.words)}"
        for item in transcript.utterances
    ]
    return "\n".join([head, "", *lines]) + "\n"


def as_srt(transcript: TranscriptFile) -> str:
    """SubRip: numbered cues."""
    cues = (
        f"{number}\n{_stamp(words[0].start_ms, ',')} --> {_stamp(words[-1].end_ms, ',')}\n"
        f"{labels.label(labels.SPEAKERS, item.speaker)}：{_text(words)}\n"
        for number, (item, words) in enumerate(_cues(transcript.utterances), start=1)
    )
    return "\n".join(cues)


def as_vtt(transcript: TranscriptFile) -> str:
    """WebVTT (W3C): the speaker is a voice."""
    cues = (
        f"{_stamp(words[0].start_ms, '.')} --> {_stamp(words[-1].end_ms, '.')}\n"
        f"<v {labels.label(labels.SPEAKERS, item.speaker)}>{_escaped(_text(words))}\n"
        for item, words in _cues(transcript.utterances)
    )
    return "\n".join(["WEBVTT\n", *cues])


def as_json(transcript: TranscriptFile) -> str:
    """Every word with its times, in milliseconds of the recording."""
    data = {
        "ticket": transcript.number,
        "call_id": transcript.call_id,
        "version": transcript.version,
        "engine": transcript.engine,
        "model": transcript.model,
        "demo_model": transcript.demo_model,
        "masked": transcript.masked,
        "segments": [
            {
                "speaker": item.speaker,
                "start_ms": item.start_ms,
                "end_ms": item.end_ms,
                "text": _text(item.words),
                "words": [
                    {"text": word.text, "start_ms": word.start_ms, "end_ms": word.end_ms, "unsure": word.unsure}
                    for word in item.words
                ],
            }
            for item in transcript.utterances
        ],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


FORMATS: Mapping[str, tuple[str, Callable[[TranscriptFile], str]]] = {
    "txt": ("text/plain", as_text),
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
    "json": ("application/json", as_json),
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


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)


def _stamp(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
