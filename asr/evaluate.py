"""How well a recognizer understands and how soon, over recordings whose words are known.

Audio goes to the recognizer in the blocks of a call. A call's clock is kept without waiting for it: a block is there
when it has been spoken and the one before is decoded, so an engine that is too slow shows the delays that a caller
would see. `real_time` waits instead, which also shows what waiting does to a recognizer in another process.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr.batch import read_channel
from asr.blocks import BLOCK_MS, bytes_of
from asr.line import Line
from asr.recognizer import Final, Partial, RecognitionEvent, Recognizer, Word
from asr.resample import open_stream_at
from asr.scoring import Alignment, CalibrationBin, Errors, calibration, compare, word_hits
from hotline.errors import ConfigurationError, HotlineError

TABLES = ("callers.tsv", "transcripts.tsv")
HEADERS = (["name", "text"], ["file", "text"])


@dataclass(frozen=True)
class Reference:
    """A recording (channel 0 of a WAV) and what is said in it."""

    path: Path
    text: str


@dataclass(frozen=True)
class Heard:
    """What a recognizer made of one recording, in seconds since the recording began."""

    finals: tuple[tuple[float, Final], ...]
    partials: tuple[tuple[float, Partial], ...]
    audio_s: float
    decode_s: float

    @property
    def text(self) -> str:
        return "".join(final.text for _, final in self.finals)

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for _, final in self.finals for word in final.words)

    @property
    def rtf(self) -> float:
        """Seconds of decoding per second of audio."""
        return self.decode_s / self.audio_s

    @property
    def final_delays(self) -> tuple[float, ...]:
        """For each utterance the seconds from the end of its last word to its final."""
        return tuple(at - final.end_ms / 1000 for at, final in self.finals)

    @property
    def partial_delays(self) -> tuple[float, ...]:
        """For each word the seconds from its end until a caption first reached as far, in any reading."""
        delays: list[float] = []
        since = 0.0
        for final_at, final in self.finals:
            shown = [(at, len(event.text)) for at, event in self.partials if since <= at <= final_at]
            shown.append((final_at, len(final.text)))
            reach = 0
            for word in final.words:
                reach += len(word.text)
                delays.append(next(at for at, length in shown if length >= reach) - word.end_ms / 1000)
            since = final_at
        return tuple(delays)


@dataclass(frozen=True)
class UtteranceScore:
    """One recording: what was said, what was heard, and both aligned."""

    name: str
    reference: str
    heard: Heard
    alignment: Alignment

    @property
    def errors(self) -> Errors:
        return self.alignment.errors


@dataclass(frozen=True)
class Evaluation:
    """The scores of a set of recordings, pooled: long ones weigh more. `failed`: name to what is wrong with a file."""

    utterances: tuple[UtteranceScore, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> Errors:
        return sum((item.errors for item in self.utterances), Errors())

    @property
    def cer(self) -> float:
        """Edits per reference character."""
        return self.errors.cer

    @property
    def audio_s(self) -> float:
        return sum(item.heard.audio_s for item in self.utterances)

    @property
    def rtf(self) -> float:
        """Seconds of decoding per second of audio."""
        return sum(item.heard.decode_s for item in self.utterances) / self.audio_s

    @property
    def partial_delays(self) -> tuple[float, ...]:
        return tuple(delay for item in self.utterances for delay in item.heard.partial_delays)

    @property
    def final_delays(self) -> tuple[float, ...]:
        return tuple(delay for item in self.utterances for delay in item.heard.final_delays)

    @property
    def calibration(self) -> tuple[CalibrationBin, ...]:
        return calibration(pair for item in self.utterances for pair in word_hits(item.reference, item.heard.words))


def read_references(source: Path) -> list[Reference]:
    """The recordings of a table (tab-separated: name with or without .wav, text, ...; a line with # is a note), or of a
    folder with such a table or with a .txt beside each .wav. Raises `ConfigurationError`."""
    if not source.is_dir():
        return _read_table(source)
    tables = [source / name for name in TABLES if (source / name).exists()] or sorted(source.glob("*.tsv"))
    if tables:
        return _read_table(tables[0])
    pairs = [path for path in sorted(source.glob("*.wav")) if path.with_suffix(".txt").exists()]
    if not pairs:
        raise ConfigurationError(
            f"{source} has neither a table (.tsv: name, tab, text) nor a .txt beside a .wav",
            hint="write what is said into a table, a line for each recording",
        )
    return [Reference(path, _read_text(path.with_suffix(".txt")).strip()) for path in pairs]


def _read_table(table: Path) -> list[Reference]:
    rows = [line.split("\t") for line in _read_text(table).splitlines() if line.strip() and not line.startswith("#")]
    if rows and rows[0][:2] in HEADERS:
        rows.pop(0)
    if not rows or any(len(row) < 2 or not row[0].strip() for row in rows):
        raise ConfigurationError(f"{table} is no table of transcripts: each line is a name, a tab and a text")
    return [Reference(table.parent / f"{row[0].removesuffix('.wav')}.wav", row[1]) for row in rows]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from error


def evaluate(
    recognizer: Recognizer,
    references: Sequence[Reference],
    *,
    line: Line | None = None,
    real_time: bool = False,
    on_scored: Callable[[UtteranceScore], None] = lambda score: None,
) -> Evaluation:
    """Recognises each recording, as it comes through `line` where there is one; a file that is unusable is told in
    `failed`. Raises `ConfigurationError` where all are."""
    scores, failed = [], {}
    for reference in references:
        name = reference.path.stem
        try:
            pcm, sample_rate = read_channel(reference.path, 0)
        except HotlineError as error:
            failed[name] = error.message
            continue
        if not pcm:
            failed[name] = "the recording is empty"
            continue
        if line is not None:
            pcm, sample_rate = line.carry(pcm, sample_rate)
        heard = hear(recognizer, pcm, sample_rate, real_time=real_time)
        scores.append(UtteranceScore(name, reference.text, heard, compare(reference.text, heard.text)))
        on_scored(scores[-1])
    if not scores:
        first = next(iter(failed.values()), "there are none")
        raise ConfigurationError(f"none of {len(references)} recordings can be used: {first}")
    return Evaluation(tuple(scores), failed)


def hear(recognizer: Recognizer, pcm: bytes, sample_rate: int, *, real_time: bool = False) -> Heard:
    """One recording (s16le mono) as a call of its own."""
    stream = open_stream_at(recognizer, sample_rate)
    size, second = bytes_of(BLOCK_MS, sample_rate), bytes_of(1000, sample_rate)
    began = time.perf_counter()
    clock, decode_s = 0.0, 0.0
    events: list[tuple[float, RecognitionEvent]] = []
    for end in [*range(size, len(pcm), size), len(pcm), None]:  # None: the speaker hangs up
        spoken_s = (len(pcm) if end is None else end) / second
        if real_time:
            time.sleep(max(0.0, began + spoken_s - time.perf_counter()))
        start = time.perf_counter()
        yielded = stream.finish() if end is None else stream.accept(pcm[(end - 1) // size * size : end])
        took_s = time.perf_counter() - start
        decode_s += took_s
        clock = start + took_s - began if real_time else max(clock, spoken_s) + took_s
        events += [(clock, event) for event in yielded]
    return Heard(
        finals=tuple((at, event) for at, event in events if isinstance(event, Final)),
        partials=tuple((at, event) for at, event in events if isinstance(event, Partial)),
        audio_s=len(pcm) / second,
        decode_s=decode_s,
    )
