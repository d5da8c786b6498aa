"""A recording recognised once more after the call, by an engine that may take its time.

A model runs in a process of its own at the lowest priority: live captions go before it, its memory is there only while
it works, and a library that ends its process ends no worker.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.batch import ChannelReader, transcribe_file
from asr.endpointing import EndpointedRecognizer
from asr.engines.loading import load_recognizer
from asr.misheard import Corrector
from asr.models import Segment
from asr.recognizer import Final, ModelInfo, RecognitionEvent, Word
from asr.resample import open_stream_at
from asr.service import CALLER, CALLER_CHANNEL, HOTLINE, Utterance, recognized
from asr.text import NO_CORRECTOR
from hotline.errors import InvalidInputError, UnavailableError
from hotline.settings_sections import AsrSettings

OUR_CHANNEL = 1
LEAST_PRIORITY = 19
SILENCE_MS = 600

Heard = Mapping[int, Sequence[Final]]
"""What was heard in each channel of a recording."""


def channels_with_people(speakers: Sequence[str]) -> tuple[int, ...]:
    """Which channels of a recording to hear again, by who speaks in its transcript: announcements are known."""
    on_our_side = set(speakers) - {CALLER, HOTLINE}
    return (CALLER_CHANNEL, OUR_CHANNEL) if on_our_side else (CALLER_CHANNEL,)


def merge(first: Sequence[Segment], heard: Heard, corrector: Corrector = NO_CORRECTOR) -> list[Utterance]:
    """The new version: what was heard now, spoken by whom the first pass says, and the announcements as they are.

    Our side's channel holds announcements and several people. Each utterance in it is given to whoever spoke there
    longest at that time; what falls on an announcement is that announcement, and dropped.
    """
    ours = [segment for segment in first if segment.speaker != CALLER]
    usual = Counter(segment.speaker for segment in ours if segment.speaker != HOTLINE).most_common(1)
    utterances = [_kept(segment) for segment in first if segment.speaker == HOTLINE]
    utterances += [recognized(CALLER, final.words, corrector) for final in heard.get(CALLER_CHANNEL, ())]
    for final in heard.get(OUR_CHANNEL, ()):
        spoke = Counter({segment.speaker: 0 for segment in ours})
        for segment in ours:
            spoke[segment.speaker] += max(0, min(final.end_ms, segment.end_ms) - max(final.start_ms, segment.start_ms))
        speaker, overlap_ms = max(spoke.items(), key=lambda item: item[1], default=(HOTLINE, 0))
        if not overlap_ms and usual:
            speaker = usual[0][0]
        if speaker != HOTLINE:
            utterances.append(recognized(speaker, final.words, corrector))
    return sorted(utterances, key=lambda item: item.final.start_ms)


def hear_again(settings: AsrSettings, wav_path: Path, channels: Sequence[int]) -> tuple[Heard, ModelInfo]:
    """What the site's second recognizer hears in a recording.

    Raises `UnavailableError` where it is away, `InvalidInputError` where it cannot do this recording, as for a model
    that is broken or takes longer than `second_pass_timeout_s`.
    """
    if settings.second_pass_url:
        pairs = [transcribe_file(settings.second_pass_url, wav_path, channel) for channel in channels]
        return {channel: finals for channel, (finals, _) in zip(channels, pairs, strict=True)}, pairs[0][1]
    request = _Request(
        model_path=str(settings.second_pass_model_path),
        engine=settings.second_pass_engine,
        allow_demo_model=settings.allow_demo_model,
        wav_path=str(wav_path),
        channels=tuple(channels),
    )
    command = [sys.executable, "-m", __name__, json.dumps(request.__dict__)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=settings.second_pass_timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise InvalidInputError(f"the second pass took longer than {settings.second_pass_timeout_s:g} s") from error
    if done.returncode < 0:  # a signal: the machine is going down, or out of memory
        raise UnavailableError(f"the second pass was ended by signal {-done.returncode}")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InvalidInputError(f"the second pass failed: {said[-1] if said else done.returncode}")
    answer = json.loads(done.stdout)
    heard = {
        int(channel): tuple(Final(tuple(Word(*word) for word in words)) for words in finals)
        for channel, finals in answer["heard"].items()
    }
    return heard, ModelInfo(**answer["model"])


@dataclass(frozen=True)
class _Request:
    """What the process of its own is asked."""

    model_path: str
    engine: str
    allow_demo_model: bool
    wav_path: str
    channels: Sequence[int]


def _answer(request: _Request) -> dict[str, Any]:
    model = load_recognizer(Path(request.model_path), engine=request.engine, allow_demo_model=request.allow_demo_model)
    recognizer = EndpointedRecognizer(model, silence_ms=SILENCE_MS)
    parent = os.getppid()
    heard = {}
    for channel in request.channels:
        with ChannelReader(Path(request.wav_path), channel) as audio:
            stream = open_stream_at(recognizer, audio.sample_rate)
            events: list[RecognitionEvent] = []
            for pcm in audio:
                if os.getppid() != parent:
                    raise SystemExit("the worker is gone")
                events += stream.accept(pcm)
            events += stream.finish()
        finals = [event for event in events if isinstance(event, Final)]
        heard[channel] = [[[w.text, w.start_ms, w.end_ms, w.confidence] for w in final.words] for final in finals]
    return {"heard": heard, "model": model.model.__dict__}


def _kept(segment: Segment) -> Utterance:
    return Utterance(segment.speaker, segment.text, tuple(Word(*word) for word in segment.words))


if __name__ == "__main__":
    os.nice(LEAST_PRIORITY)
    sys.stdout.write(json.dumps(_answer(_Request(**json.loads(sys.argv[1])))))
