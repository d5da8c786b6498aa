"""Speech as recognizers write it: words with blanks between, ` | ` between two utterances, `_` a pause inside one."""

from asr.recognizer import Word
from tickets.speech import Speech, SpokenSegment

WORD_MS = 200
PAUSE_MS = 400


def speech_of(text: str, *, start_ms: int = 0, position: int = 0) -> Speech:
    """`position` and `start_ms` of the first segment."""
    segments, at = [], start_ms
    for index, utterance in enumerate(text.split("|"), start=position):
        words = []
        for word in utterance.split():
            if word == "_":
                at += PAUSE_MS
                continue
            words.append(Word(word, at, at + WORD_MS, 0.9))
            at += WORD_MS
        display = utterance.replace(" ", "").replace("_", "，") + "。"
        segments.append(SpokenSegment(index, display, tuple(words)))
    return Speech(segments)


NOTHING = speech_of("")
