"""The recognizer process over its socket: vosk-server's protocol, bounds, health, stopping."""

import json
import logging
import queue
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sherpa_models
from recognizer_rig import MODEL, RecognizerProcess, RunningServer, free_port, running_server, speech
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import serve

from asr.engines.remote import RemoteRecognizer, read_remote_model
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.recognizer import Final, Partial, Word
from asr.server import serve_recognizer
from hotline.errors import ConfigurationError, UnavailableError
from hotline.settings import Settings
from hotline.settings_sections import AsrSettings

FINAL = Final((Word("您好", 100, 400, 0.9), Word("我", 400, 500, 1.0)))
SCRIPT = [ScriptedEvent(200, Partial("您")), ScriptedEvent(600, FINAL)]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(ScriptedRecognizer(SCRIPT), max_connections=2, max_message_bytes=20_000) as running:
        yield running


def ask(connection: ClientConnection, message: bytes | str) -> object:
    connection.send(message)
    return json.loads(connection.recv(5))


def close_of(connection: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(5)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_each_message_of_audio_gets_one_reply(server: RunningServer) -> None:
    with connect(server.url) as connection:
        connection.send('{"config": {"sample_rate": 8000}}')
        assert ask(connection, bytes(1600)) == {"partial": ""}
        assert ask(connection, bytes(1600)) == {"partial": "您"}
        assert ask(connection, bytes(1600)) == {"partial": "您"}
        assert ask(connection, bytes(4800)) == {
            "result": [
                {"word": "您好", "start": 0.1, "end": 0.4, "conf": 0.9},
                {"word": "我", "start": 0.4, "end": 0.5, "conf": 1.0},
            ],
            "text": "您好 我",
        }
        assert ask(connection, bytes(1600)) == {"partial": ""}
        assert ask(connection, '{"eof" : 1}') == {"text": ""}
        assert close_of(connection)[0] == 1000


def test_audio_may_come_without_config(server: RunningServer) -> None:
    with connect(server.url) as connection:
        assert ask(connection, bytes(3200)) == {"partial": "您"}


def test_eof_without_audio_is_answered(server: RunningServer) -> None:
    with connect(server.url) as connection:
        assert ask(connection, '{"eof": 1}') == {"text": ""}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("rubbish", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "neither config nor eof"),
        ('{"config": {"sample_rate": "fast"}}', "sample_rate is no number"),
        ('{"config": {"sample_rate": 1}}', "sample_rate 1 is not within 8000-48000"),
        ('{"config": {"sample_rate": 1e999}}', "sample_rate is no number"),
        ("[" * 19_000, "not JSON"),
    ],
)
def test_a_wrong_message_closes_with_its_reason(server: RunningServer, message: str, reason: str) -> None:
    with connect(server.url) as connection:
        connection.send(message)
        assert close_of(connection) == (1008, reason)


def test_config_after_audio_is_refused(server: RunningServer) -> None:
    with connect(server.url) as connection:
        ask(connection, bytes(1600))
        connection.send('{"config": {"sample_rate": 16000}}')
        assert close_of(connection) == (1008, "config after audio")


def test_a_message_over_the_bound_closes_its_connection_only(server: RunningServer) -> None:
    with connect(server.url) as other, connect(server.url) as connection:
        connection.send(bytes(20_001))
        assert close_of(connection)[0] == 1009
        assert ask(other, bytes(1600)) == {"partial": ""}


def test_one_connection_too_many_is_told_to_come_later(server: RunningServer) -> None:
    with connect(server.url) as first, connect(server.url):
        ask(first, bytes(1600))
        with connect(server.url) as third:
            code, reason = close_of(third)
        assert (code, reason) == (1013, "the recognizer holds 2 streams and takes no more")
        first.close()
        for _ in range(50):
            try:
                with connect(server.url) as again:
                    ask(again, bytes(1600))
                break
            except ConnectionClosed:
                time.sleep(0.02)
        else:
            pytest.fail("a place that became free was not given again")


def test_health_names_the_model(server: RunningServer) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=5) as response:
        assert response.headers["Content-Type"] == "application/json"
        answer = json.load(response)
    assert answer == {
        "status": "ok",
        "model": {"name": "script", "engine": "scripted", "demo": True},
        "connections": 0,
        "rtf": None,
        "capacity": 2,
    }


def test_bytes_that_are_no_http_do_no_harm(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00" * 50 + b"\r\n\r\n")
        raw.settimeout(5)
        while raw.recv(4096):
            pass
    assert read_remote_model(server.url).name == "script"


def test_an_engine_that_fails_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedRecognizer):
        opened = 0

        def open_stream(self, phrases=()):  # type: ignore[no-untyped-def]
            self.opened += 1
            if self.opened == 1:
                raise RuntimeError("engine")
            return super().open_stream()

    with running_server(Broken(SCRIPT)) as server:
        with connect(server.url) as connection:
            connection.send(bytes(1600))
            assert close_of(connection)[0] == 1011
        with connect(server.url) as connection:
            assert ask(connection, bytes(3200)) == {"partial": "您"}
    caplog.clear()


def test_a_long_message_with_several_utterances_gets_one_reply() -> None:
    second = Final((Word("再见", 700, 900, 1.0),))
    with (
        running_server(ScriptedRecognizer([*SCRIPT, ScriptedEvent(1000, second)])) as server,
        connect(server.url) as connection,
    ):
        reply = ask(connection, bytes(16 * 1100))
    assert reply["text"] == "您好 我 再见"  # type: ignore[index]


def test_a_server_without_health_is_named_by_its_address() -> None:
    """A stock vosk-server answers a plain GET with 426 and speaks the protocol."""

    def stock(connection) -> None:  # type: ignore[no-untyped-def]
        for message in connection:
            if isinstance(message, bytes):
                connection.send('{"partial" : ""}')
            elif "eof" in message:
                connection.send(
                    '{"result" : [{"conf" : 1.000001, "end" : 0.69, "start" : 0.27, "word" : "您好"}], "text" : "您好"}'
                )
                return

    with serve(stock, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        recognizer = RemoteRecognizer(url)
        stream = recognizer.open_stream()
        assert stream.accept(bytes(1600)) == []
        assert stream.finish() == [Final((Word("您好", 270, 690, 1.0),))]
        assert recognizer.model.engine == "vosk-server"
        assert recognizer.model.name == url.removeprefix("ws://")
        server.shutdown()
        thread.join()


def test_a_recognizer_that_is_away_is_unavailable(server: RunningServer) -> None:
    recognizer = RemoteRecognizer(server.url)
    stream = recognizer.open_stream()
    server.stop()
    with pytest.raises(UnavailableError):
        stream.accept(bytes(1600))
    with pytest.raises(UnavailableError):
        recognizer.open_stream()
    with pytest.raises(UnavailableError):
        RemoteRecognizer(server.url)
    server.start()


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:2700", "ws://", "127.0.0.1:2700"])
def test_an_address_that_is_no_websocket_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        RemoteRecognizer(url)


def settings_on_free_port(**asr: object) -> Settings:
    return Settings(asr=AsrSettings(port=free_port(), **asr))  # type: ignore[arg-type]


def test_the_start_log_says_that_a_demo_model_does_not_understand_people(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    with caplog.at_level(logging.WARNING):
        serve_recognizer(settings_on_free_port(), stop, on_listening=lambda port: stop.set())
    assert "demo model: does not understand real people" in caplog.text


def test_a_refused_demo_model_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="demo model"):
        serve_recognizer(settings_on_free_port(allow_demo_model=False), threading.Event())


def test_a_taken_port_is_a_configuration_error(server: RunningServer) -> None:
    settings = Settings(asr=AsrSettings(port=server.port))
    with pytest.raises(ConfigurationError, match="cannot listen"):
        serve_recognizer(settings, threading.Event())


def test_a_sigterm_ends_the_process_within_two_seconds_in_mid_call() -> None:
    recognizer = RecognizerProcess()
    try:
        with connect(recognizer.url) as connection:
            ask(connection, speech()[:16_000])
            connection.send(speech())
            began = time.monotonic()
            recognizer.process.send_signal(signal.SIGTERM)
            assert recognizer.process.wait(5) == 0
            assert time.monotonic() - began < 2
    finally:
        recognizer.kill()


def test_a_batch_client_does_not_hold_up_a_live_one() -> None:
    with (
        running_server(VoskRecognizer(MODEL, allow_demo_model=True), max_message_bytes=1 << 24) as server,
        connect(server.url) as greedy,
        connect(server.url) as also_greedy,
        connect(server.url) as live,
    ):
        ask(live, bytes(1600))
        for connection in (greedy, also_greedy):
            connection.send(speech("wages_lu") * 6)
        began = time.monotonic()
        for at in range(0, 16_000, 1600):
            ask(live, speech()[at : at + 1600])
        live_s = time.monotonic() - began
        greedy.recv(60)
        greedy_s = time.monotonic() - began
    assert live_s < greedy_s / 3


@pytest.mark.parametrize("build", [sherpa_models.streaming_ctc, sherpa_models.tdnn_ctc])
def test_a_sherpa_model_is_served(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    """Also one that hears whole utterances: the endpointing makes them. Two are said here."""
    stop, listening = threading.Event(), queue.Queue[int]()
    settings = settings_on_free_port(model_path=build(tmp_path))
    server = threading.Thread(
        target=serve_recognizer, args=(settings, stop), kwargs={"on_listening": listening.put}, daemon=True
    )
    server.start()
    loud = np.random.default_rng(1).integers(-8000, 8000, 8000, np.int16).tobytes()
    try:
        stream = RemoteRecognizer(f"ws://127.0.0.1:{listening.get(timeout=60)}").open_stream()
        events = stream.accept(bytes(16_000) + loud + bytes(32_000) + loud) + stream.finish()
    finally:
        stop.set()
        server.join(10)
    first, second = [event for event in events if isinstance(event, Final)]
    assert 500 <= first.start_ms <= 1500
    assert first.end_ms <= 2700
    assert 3400 <= second.start_ms <= 4500


def test_a_whole_utterance_model_without_endpointing_does_not_start(tmp_path: Path) -> None:
    settings = settings_on_free_port(model_path=sherpa_models.tdnn_ctc(tmp_path), endpoint_silence_ms=0)
    with pytest.raises(ConfigurationError, match="hears whole utterances"):
        serve_recognizer(settings, threading.Event())
