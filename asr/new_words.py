"""Words that a site adds while its recognizer runs: streams that begin later expect them."""

from collections.abc import Callable, Sequence

from asr.recognizer import Capabilities, ModelInfo, RecognitionStream, Recognizer
from asr.words import HotWord


class WithNewWords:
    """A recognizer that can prefer words, with those of `words` that were not there when it was loaded."""

    def __init__(self, recognizer: Recognizer, words: Callable[[], Sequence[HotWord]]) -> None:
        self._recognizer = recognizer
        self._words = words
        self._loaded = frozenset(word.text for word in words())

    @property
    def capabilities(self) -> Capabilities:
        return self._recognizer.capabilities

    @property
    def model(self) -> ModelInfo:
        return self._recognizer.model

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """Raises as the recognizer's; a client's own phrases come first."""
        new = (word.text for word in self._words() if word.text not in self._loaded)
        return self._recognizer.open_stream(tuple(dict.fromkeys((*phrases, *new))))
