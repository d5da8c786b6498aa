"""alphacep's vosk-server instead of ours, and its client against ours, by what their published programs do.

Source: github.com/alphacep/vosk-server, websocket/asr_server.py and websocket/test.py.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import vosk
from recognizer_rig import MODEL, RunningServer, running_server, speech
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from asr.capacity import RecognizerPool
from asr.engines.remote import RemoteRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.recognizer import Final, Partial, Recognizer
from asr.stream import CaptionService, StreamEnded

EOF_TO_THE_LETTER = '{"eof" : 1}'


class StockServer:
    """Answers as theirs: text with "config" in it sets up, one text to the letter ends, all else is audio."""

    def __init__(self) -> None:
        self._model = vosk.Model(str(MODEL))
        self.configs: list[dict[str, Any]] = []

    def __call__(self, connection: ServerConnection) -> None:
        decoder = None
        config: dict[str, Any] = {"sample_rate": 8000.0, "words": True, "max_alternatives": 0, "phrase_list": None}
        for message in connection:
            if isinstance(message, str) and "config" in message:
                config |= json.loads(message)["config"]
                self.configs.append(config)
                continue
            if decoder is None:
                phrases = config["phrase_list"]
                grammar = [json.dumps(phrases, ensure_ascii=False)] if phrases else []
                decoder = vosk.KaldiRecognizer(self._model, float(config["sample_rate"]), *grammar)
                decoder.SetWords(config["words"])
                decoder.SetMaxAlternatives(config["max_alternatives"])
            if message == EOF_TO_THE_LETTER:
                connection.send(decoder.FinalResult())
                return
            assert isinstance(message, bytes), "theirs would take this text for audio"
            connection.send(decoder.Result() if decoder.AcceptWaveform(message) else decoder.PartialResult())


def stock_client(url: str, pcm: bytes, config: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Sends 0.2 s at a time and reads a reply to each, then the end; returns all replies."""
    replies = []
    with connect(url) as connection:
        connection.send(json.dumps({"config": {"sample_rate": 8000, **(config or {})}}))
        for at in range(0, len(pcm), 3200):
            connection.send(pcm[at : at + 3200])
            replies.append(json.loads(connection.recv(10)))
        connection.send(EOF_TO_THE_LETTER)
        replies.append(json.loads(connection.recv(10)))
    return replies


@pytest.fixture(scope="module")
def own() -> VoskRecognizer:
    return VoskRecognizer(MODEL, allow_demo_model=True)


@pytest.fixture(scope="module")
def ours(own: VoskRecognizer) -> Iterator[RunningServer]:
    with running_server(own) as running:
        yield running


@pytest.fixture
def theirs() -> Iterator[tuple[str, StockServer]]:
    stock = StockServer()
    with serve(stock, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", stock
        server.shutdown()
        thread.join()


def heard(recognizer: Recognizer, pcm: bytes, phrases: tuple[str, ...] = ()) -> list[Final]:
    stream = recognizer.open_stream(phrases)
    return [event for event in stream.accept(pcm) + stream.finish() if isinstance(event, Final)]


def test_our_client_hears_the_same_from_their_server(theirs: tuple[str, StockServer], own: VoskRecognizer) -> None:
    url, stock = theirs
    pcm = speech("wages_lu")
    assert heard(RemoteRecognizer(url), pcm) == heard(own, pcm)
    assert stock.configs[0]["words"] is True
    assert stock.configs[0]["max_alternatives"] == 0


def test_our_captions_run_on_their_server(theirs: tuple[str, StockServer], own: VoskRecognizer) -> None:
    url, _stock = theirs
    captions = CaptionService(RecognizerPool([url]), max_live_calls=1, max_lag_s=30)
    events: list[object] = []
    ended = threading.Event()

    def on_event(event: object) -> None:
        events.append(event)
        if isinstance(event, StreamEnded):
            ended.set()

    try:
        stream = captions.open("call", speaker="caller", on_event=on_event)
        stream.feed(speech("street_light"))
        stream.finish()
        assert ended.wait(15)
    finally:
        captions.close()
    assert any(isinstance(event, Partial) for event in events)
    assert isinstance(events[-1], StreamEnded)
    assert events[-1].complete
    assert [event for event in events if isinstance(event, Final)] == heard(own, speech("street_light"))


def test_our_phrases_reach_their_server(theirs: tuple[str, StockServer]) -> None:
    url, stock = theirs
    finals = heard(RemoteRecognizer(url), speech("street_light"), ("路灯", "坏"))
    assert stock.configs[0]["phrase_list"] == ["路灯", "坏"]
    assert set("".join(final.text for final in finals)) <= set("路灯坏")


def test_their_client_hears_our_words_and_partials(ours: RunningServer, own: VoskRecognizer) -> None:
    replies = stock_client(ours.url, speech("wages_lu"))
    partials = [reply["partial"] for reply in replies if "partial" in reply]
    results = [reply for reply in replies if "result" in reply]
    assert any(partials)
    assert all(set(reply) == {"result", "text"} for reply in results)
    words = [word["word"] for reply in results for word in reply["result"]]
    assert words == [word.text for final in heard(own, speech("wages_lu")) for word in final.words]


def test_their_client_may_want_no_words(ours: RunningServer, own: VoskRecognizer) -> None:
    replies = stock_client(ours.url, speech("street_light"), {"words": False, "max_alternatives": 0})
    assert not any("result" in reply for reply in replies)
    said = "".join(reply.get("text", "") for reply in replies).replace(" ", "")
    assert said == "".join(final.text for final in heard(own, speech("street_light")))


def test_their_client_may_name_phrases(ours: RunningServer) -> None:
    replies = stock_client(ours.url, speech("street_light"), {"phrase_list": ["路灯", "坏"]})
    said = "".join(reply.get("text", "") for reply in replies).replace(" ", "")
    assert "路灯" in said
    assert set(said) <= set("路灯坏")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"max_alternatives": 3}, "one hypothesis"),
        ({"model": "other"}, "model is not taken"),
        ({"phrase_list": "路灯"}, "no list"),
        ({"phrase_list": [3]}, "no phrase"),
        ({"phrase_list": ["龘"]}, "knows no word"),
    ],
)
def test_what_we_cannot_do_is_refused_with_its_reason(ours: RunningServer, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConnectionClosed) as caught:
        stock_client(ours.url, bytes(3200), config)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    assert reason in caught.value.rcvd.reason
