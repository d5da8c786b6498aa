"""Live captions through a real socket: dying recognizers, overload, limits, last words."""

import contextlib
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import soxr
from recognizer_rig import MODEL, RecognizerProcess, RunningServer, running_server, speech
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from asr.capacity import RecognizerPool
from asr.engines.remote import RemoteRecognizer
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.protocol import Health
from asr.recognizer import Final, Partial, RecognitionEvent, RecognitionStream, Word
from asr.stream import Behind, CaptionEvent, CaptionService, StreamEnded

BLOCK = bytes(1600)


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


class Listener:
    """Collects events; `ended` waits for the last."""

    def __init__(self) -> None:
        self.events: list[CaptionEvent] = []
        self.behind: list[int] = []
        self._queue: queue.Queue[StreamEnded] = queue.Queue()

    def __call__(self, event: CaptionEvent) -> None:
        if isinstance(event, Behind):
            self.behind.append(event.seconds)
            return
        self.events.append(event)
        if isinstance(event, StreamEnded):
            self._queue.put(event)

    def ended(self, timeout_s: float = 10) -> StreamEnded:
        return self._queue.get(timeout=timeout_s)

    @property
    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    @property
    def words(self) -> list[Word]:
        return [word for final in self.finals for word in final.words]


@pytest.fixture(scope="module")
def vosk() -> VoskRecognizer:
    return VoskRecognizer(MODEL, allow_demo_model=True)


@pytest.fixture
def server(vosk: VoskRecognizer) -> Iterator[RunningServer]:
    with running_server(vosk) as running:
        yield running


@pytest.fixture
def service(server: RunningServer) -> Iterator[CaptionService]:
    captions = CaptionService(
        RecognizerPool([server.url]), max_live_calls=4, max_lag_s=30
    )  # tests feed faster than people speak
    yield captions
    captions.close()


def direct(vosk: VoskRecognizer, pcm: bytes) -> list[Word]:
    stream = vosk.open_stream()
    events: list[RecognitionEvent] = stream.accept(pcm) + stream.finish()
    return [word for event in events if isinstance(event, Final) for word in event.words]


def connections(server: RunningServer) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=5) as response:
        return Health.parse(response.read()).connections


def feed_all(stream: object, pcm: bytes, frame: int = 320) -> None:
    for at in range(0, len(pcm), frame):
        stream.feed(pcm[at : at + frame])  # type: ignore[attr-defined]


def test_captions_are_what_the_recognizer_says_on_the_clock_of_the_stream(
    service: CaptionService, vosk: VoskRecognizer
) -> None:
    heard = Listener()
    stream = service.open("call", speaker="caller", on_event=heard)
    pcm = speech("street_light")
    feed_all(stream, pcm)
    stream.finish()
    assert heard.ended() == StreamEnded(complete=True, model=vosk.model)
    assert heard.words == direct(vosk, pcm)
    assert isinstance(heard.events[0], Partial)
    assert isinstance(heard.events[-1], StreamEnded)


def test_wideband_audio_is_brought_to_the_models_rate(service: CaptionService, vosk: VoskRecognizer) -> None:
    heard = Listener()
    stream = service.open("call", speaker="caller", on_event=heard, sample_rate=16_000)
    pcm = speech("street_light")
    wide = soxr.resample(np.frombuffer(pcm, np.int16), 8000, 16_000).tobytes()
    feed_all(stream, wide)
    stream.finish()
    assert heard.ended().complete
    assert [word.text for word in heard.words] == [word.text for word in direct(vosk, pcm)]
    assert abs(heard.words[-1].end_ms - direct(vosk, pcm)[-1].end_ms) <= 60


def test_feeding_and_finishing_return_at_once_while_no_recognizer_answers(server: RunningServer) -> None:
    server.stop()
    captions = CaptionService(RecognizerPool([server.url]), max_live_calls=1, finish_timeout_s=0.3)
    try:
        heard = Listener()
        began = time.monotonic()
        stream = captions.open("call", speaker="caller", on_event=heard)
        for _ in range(50):
            stream.feed(bytes(320))
        stream.finish()
        assert time.monotonic() - began < 0.25
        assert heard.ended(3) == StreamEnded(complete=False, model=None)
    finally:
        captions.close()
        server.start()


def test_no_words_are_lost_when_the_recognizer_dies_in_the_middle_of_a_sentence(
    server: RunningServer, service: CaptionService, vosk: VoskRecognizer
) -> None:
    """The second utterance is cut: the first must not come twice, the second must be whole and at its own time."""
    heard = Listener()
    stream = service.open("call", speaker="caller", on_event=heard)
    pcm = speech("wages_lu")
    cut = 16 * 15_000
    feed_all(stream, pcm[:cut])
    wait_for(lambda: len(heard.finals) == 1 and isinstance(heard.events[-1], Partial), "the second utterance")
    server.stop()
    feed_all(stream, pcm[cut : cut + 8000])
    server.start()
    feed_all(stream, pcm[cut + 8000 :])
    stream.finish()
    assert heard.ended().complete
    expected = direct(vosk, pcm)
    assert "".join(word.text for word in heard.words) == "".join(word.text for word in expected)
    for got, want in zip(heard.words[1:], expected[1:], strict=True):
        assert abs(got.end_ms - want.end_ms) <= 120


def test_no_words_are_lost_when_the_recognizer_process_is_killed(vosk: VoskRecognizer) -> None:
    recognizer = RecognizerProcess()
    captions = CaptionService(RecognizerPool([recognizer.url]), max_live_calls=1, max_lag_s=30, finish_timeout_s=10)
    try:
        heard = Listener()
        stream = captions.open("call", speaker="caller", on_event=heard)
        pcm = speech("street_light")
        feed_all(stream, pcm[: 16 * 4000])
        wait_for(lambda: heard.events != [], "captions")
        recognizer.kill()
        feed_all(stream, pcm[16 * 4000 :])
        recognizer.start()
        stream.finish()
        assert heard.ended(15).complete
        assert [word.text for word in heard.words] == [word.text for word in direct(vosk, pcm)]
    finally:
        captions.close()
        recognizer.kill()


def test_a_recognizer_that_comes_up_late_hears_the_call_from_its_start(
    server: RunningServer, service: CaptionService, vosk: VoskRecognizer
) -> None:
    server.stop()
    heard = Listener()
    stream = service.open("call", speaker="caller", on_event=heard)
    feed_all(stream, speech("gas_smell"))
    server.start()
    stream.finish()
    assert heard.ended().complete
    assert heard.words == direct(vosk, speech("gas_smell"))


def test_overload_ends_completeness_and_captions_go_on_at_the_right_time() -> None:
    """A recognizer that hangs, then is replaced by a healthy one."""
    gate = threading.Event()

    class Slow(ScriptedRecognizer):
        def open_stream(self, phrases=()):  # type: ignore[no-untyped-def]
            gate.wait(10)
            return super().open_stream()

    word = Final((Word("好", 100, 300, 1.0),))
    with running_server(Slow([ScriptedEvent(500, word)])) as server:
        captions = CaptionService(RecognizerPool([server.url]), max_live_calls=1, max_lag_s=1.0)
        try:
            heard = Listener()
            stream = captions.open("call", speaker="caller", on_event=heard)
            for _ in range(15):
                stream.feed(BLOCK)  # 1.5 s: at 1.1 s all is dropped
            gate.set()
            for _ in range(200):
                if heard.finals:
                    break
                stream.feed(BLOCK)
                time.sleep(0.02)
            stream.finish()
            assert not heard.ended().complete
            assert heard.words[-1].start_ms >= 1100
        finally:
            captions.close()


def test_calls_over_the_limit_end_incomplete_and_places_become_free(
    server: RunningServer, vosk: VoskRecognizer
) -> None:
    captions = CaptionService(RecognizerPool([server.url]), max_live_calls=1)
    try:
        caller, seat, other, later = Listener(), Listener(), Listener(), Listener()
        first = captions.open("one", speaker="caller", on_event=caller)
        second = captions.open("one", speaker="seat", on_event=seat)
        refused = captions.open("two", speaker="caller", on_event=other)
        for stream in (first, second, refused):
            feed_all(stream, speech("gas_smell"))
        refused.finish()
        assert other.ended() == StreamEnded(complete=False, model=None)
        assert other.events == [StreamEnded(complete=False, model=None)]
        first.finish()
        second.finish()
        assert caller.ended().complete
        assert seat.ended().complete
        third = captions.open("three", speaker="caller", on_event=later)
        third.finish()
        assert later.ended().complete
    finally:
        captions.close()


def test_no_live_calls_means_no_captions(server: RunningServer) -> None:
    captions = CaptionService(RecognizerPool([server.url]), max_live_calls=0)
    try:
        heard = Listener()
        stream = captions.open("call", speaker="caller", on_event=heard)
        feed_all(stream, speech("gas_smell"))
        stream.finish()
        stream.finish()
        assert heard.ended() == StreamEnded(complete=False, model=None)
        assert len(heard.events) == 1
    finally:
        captions.close()


def test_a_full_recognizer_is_tried_again_until_the_stream_is_given_up() -> None:
    with running_server(ScriptedRecognizer([]), max_connections=1) as server:
        captions = CaptionService(RecognizerPool([server.url]), max_live_calls=2, finish_timeout_s=0.5)
        try:
            first, second = Listener(), Listener()
            holds = captions.open("one", speaker="caller", on_event=first)
            holds.feed(BLOCK * 2)
            wait_for(lambda: connections(server) == 1, "the first stream")
            waits = captions.open("two", speaker="caller", on_event=second)
            waits.feed(BLOCK * 2)
            waits.finish()
            assert not second.ended(3).complete
            holds.finish()
            assert first.ended(3).complete
        finally:
            captions.close()


def test_a_slow_recognizer_is_said_to_be_behind_and_to_have_caught_up() -> None:
    gate = threading.Event()

    class Slow(ScriptedRecognizer):
        def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
            gate.wait(10)
            return super().open_stream(phrases)

    word = Final((Word("好", 100, 300, 1.0),))
    with running_server(Slow([ScriptedEvent(500, word)])) as server:
        captions = CaptionService(RecognizerPool([server.url]), max_live_calls=1, max_lag_s=30)
        try:
            heard = Listener()
            stream = captions.open("call", speaker="caller", on_event=heard)
            for _ in range(35):
                stream.feed(BLOCK)
            wait_for(lambda: heard.behind == [2, 3], "a delay of 2, then 3 s")
            gate.set()
            wait_for(lambda: heard.finals != [], "the captions")
            for _ in range(200):
                stream.feed(BLOCK)
                if heard.behind[-1] == 0:
                    break
                time.sleep(0.02)
            stream.finish()
            assert heard.ended().complete
            assert heard.behind[-1] == 0
        finally:
            captions.close()


def test_a_call_over_the_recognizers_capacity_waits_for_a_place(vosk: VoskRecognizer) -> None:
    with running_server(vosk) as server:
        pool = RecognizerPool([server.url])
        pool.tell({server.url: Health(vosk.model, connections=0, rtf=0.5, capacity=1).state()})
        captions = CaptionService(pool, max_live_calls=10, max_lag_s=30)
        try:
            first, second, third = Listener(), Listener(), Listener()
            holds = captions.open("one", speaker="caller", on_event=first)
            feed_all(holds, speech("gas_smell"))
            wait_for(lambda: first.events != [], "the first call's captions")
            refused = captions.open("two", speaker="caller", on_event=second)
            feed_all(refused, speech("gas_smell"))
            refused.finish()
            assert second.ended() == StreamEnded(complete=False, model=None)
            waits = captions.open("three", speaker="caller", on_event=third)
            feed_all(waits, speech("gas_smell"))
            holds.finish()
            assert first.ended().complete
            wait_for(lambda: third.events != [], "captions from the place that became free")
            waits.finish()
            assert third.ended().complete
            assert third.words == direct(vosk, speech("gas_smell"))
        finally:
            captions.close()


def test_calls_of_a_killed_recognizer_go_on_at_another_within_three_seconds_and_lose_no_words(
    vosk: VoskRecognizer,
) -> None:
    """Two real processes, four speakers in real time's order; the words are those of an undisturbed run."""
    recognizers = [RecognizerProcess(), RecognizerProcess()]
    pool = RecognizerPool([each.url for each in recognizers])
    captions = CaptionService(pool, max_live_calls=4, max_lag_s=60, finish_timeout_s=60)
    names = ("gas_smell", "heating_zhang", "street_light", "gas_smell")
    try:
        heard = [Listener() for _ in names]
        streams = [
            captions.open(f"call-{index}", speaker="caller", on_event=listener) for index, listener in enumerate(heard)
        ]
        audio = [speech(name) for name in names]
        cut = 16 * 3000
        for stream, pcm in zip(streams, audio, strict=True):
            feed_all(stream, pcm[:cut])
        wait_for(lambda: all(listener.events for listener in heard), "captions")
        assert [places(each) for each in recognizers] == [2, 2]
        before = [len(listener.events) for listener in heard]
        recognizers[0].kill()
        killed = time.monotonic()
        for stream, pcm in zip(streams, audio, strict=True):
            feed_all(stream, pcm[cut : cut + 16 * 1000])
        wait_for(
            lambda: all(len(each.events) > count for each, count in zip(heard, before, strict=True)), "all to go on"
        )
        moved_s = time.monotonic() - killed
        for stream, pcm in zip(streams, audio, strict=True):
            feed_all(stream, pcm[cut + 16 * 1000 :])
            stream.finish()
        for listener, pcm in zip(heard, audio, strict=True):
            assert listener.ended(60).complete
            assert "".join(word.text for word in listener.words) == undisturbed(recognizers[1].url, pcm)
        assert moved_s < 3
    finally:
        captions.close()
        for each in recognizers:
            each.kill()


def places(recognizer: RecognizerProcess) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{recognizer.port}/health", timeout=5) as response:
        return Health.parse(response.read()).connections


def undisturbed(url: str, pcm: bytes) -> str:
    stream = RemoteRecognizer(url).open_stream()
    return "".join(event.text for event in stream.accept(pcm) + stream.finish() if isinstance(event, Final))


def test_a_listener_that_raises_harms_nobody(service: CaptionService, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: CaptionEvent) -> None:
        raise RuntimeError("listener")

    heard = Listener()
    bad = service.open("one", speaker="caller", on_event=broken)
    good = service.open("two", speaker="caller", on_event=heard)
    for stream in (bad, good):
        feed_all(stream, speech("gas_smell"))
        stream.finish()
    assert heard.ended().complete
    caplog.clear()


def test_closing_the_service_ends_every_stream(server: RunningServer) -> None:
    captions = CaptionService(RecognizerPool([server.url]), max_live_calls=1)
    running, refused, fresh = Listener(), Listener(), Listener()
    streams = [captions.open(name, speaker="caller", on_event=to) for name, to in (("a", running), ("b", refused))]
    streams[0].feed(BLOCK)
    captions.open("a", speaker="seat", on_event=fresh)
    captions.close()
    for heard in (running, refused, fresh):
        assert not heard.ended(1).complete
    streams[0].feed(BLOCK * 5)
    streams[0].finish()
    captions.close()


def test_a_server_that_speaks_nonsense_leaves_the_stream_incomplete() -> None:
    spoken = threading.Event()

    def nonsense(connection) -> None:  # type: ignore[no-untyped-def]
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send("<html>")
                if isinstance(message, bytes):
                    spoken.set()

    with serve(nonsense, "127.0.0.1", 0) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        captions = CaptionService(
            RecognizerPool([f"ws://127.0.0.1:{other.socket.getsockname()[1]}"]),
            max_live_calls=1,
            finish_timeout_s=0.5,
        )
        heard = Listener()
        stream = captions.open("call", speaker="caller", on_event=heard)
        stream.feed(BLOCK * 3)
        assert spoken.wait(5)
        stream.finish()
        ended = heard.ended()
        captions.close()
        other.shutdown()
        thread.join()
    assert not ended.complete
    assert ended.model is not None
    assert ended.model.engine == "vosk-server"
