"""Words added while a recognizer runs reach the streams that begin later."""

from collections.abc import Sequence
from pathlib import Path

from asr.engines.scripted import ScriptedRecognizer
from asr.new_words import WithNewWords
from asr.recognizer import RecognitionStream
from asr.words import load_words
from hotline.site_files import SiteFile, Watched


class Listening(ScriptedRecognizer):
    """Notes the phrases of each stream."""

    def __init__(self) -> None:
        super().__init__([])
        self.phrases: list[tuple[str, ...]] = []

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        self.phrases.append(tuple(phrases))
        return super().open_stream()


def test_words_added_later_are_expected_by_later_streams(tmp_path: Path) -> None:
    file = SiteFile(tmp_path / "words.tsv")
    file.change(lambda _: "煤改电\n")
    inner = Listening()
    recognizer = WithNewWords(inner, Watched((file.path,), lambda: load_words(file.path)).get)
    recognizer.open_stream()
    file.change(lambda text: text + "妫水北街\n")
    recognizer.open_stream()
    recognizer.open_stream(("蓄热电暖器", "妫水北街"))
    assert inner.phrases == [(), ("妫水北街",), ("蓄热电暖器", "妫水北街")]
    assert (recognizer.model, recognizer.capabilities) == (inner.model, inner.capabilities)
