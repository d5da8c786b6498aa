"""The in-memory `Recognizer`: says what it was told, when it was told, for tests and rehearsals."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.blocks import BYTES_PER_SAMPLE
from asr.recognizer import Capabilities, Final, ModelInfo, RecognitionEvent, RecognitionStream
from hotline.errors import InvalidInputError


@dataclass(frozen=True)
class ScriptedEvent:
    """`event` is yielded once `at_ms` milliseconds of audio have been heard."""

    at_ms: int
    event: RecognitionEvent


class ScriptedRecognizer:
    """Every stream replays the same script."""

    def __init__(
        self,
        script: Sequence[ScriptedEvent],
        *,
        sample_rate: int = 8000,
        model: ModelInfo = ModelInfo(name="script", engine="scripted", demo=True),  # noqa: B008 - frozen
    ) -> None:
        self._script = sorted(script, key=lambda item: item.at_ms)
        self.model = model
        self.capabilities = Capabilities(
            streaming=True, word_times=True, confidence=True, hotwords=False, sample_rate=sample_rate
        )

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        if phrases:
            raise InvalidInputError("a script takes no phrases")
        return ScriptedStream(self._script, self.capabilities.sample_rate)


class ScriptedStream:
    """A place in the script."""

    def __init__(self, script: Sequence[ScriptedEvent], sample_rate: int) -> None:
        self._waiting = list(script)
        self._sample_rate = sample_rate
        self._bytes = 0

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        self._bytes += len(pcm)
        heard_ms = self._bytes * 1000 // (self._sample_rate * BYTES_PER_SAMPLE)
        due = [item.event for item in self._waiting if item.at_ms <= heard_ms]
        self._waiting = self._waiting[len(due) :]
        return due

    def finish(self) -> list[RecognitionEvent]:
        """The finals whose words were all heard, even where the script has them later."""
        heard_ms = self._bytes * 1000 // (self._sample_rate * BYTES_PER_SAMPLE)
        waiting, self._waiting = self._waiting, []
        return [item.event for item in waiting if isinstance(item.event, Final) and item.event.end_ms <= heard_ms]
